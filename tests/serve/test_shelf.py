"""Pictures in two files: found by number, also while they are being written."""

from vp_jax.serve.shelf import ShelfWriter, link_shelf, read_shelf, remove_shelf, shelf_length


def test_pictures_are_found_by_number_while_the_shelf_is_written(tmp_path):
    with ShelfWriter(tmp_path / "a") as shelf:
        assert read_shelf(tmp_path / "a", 0) is None
        for number in (0, 1, 5):
            shelf.add(number, bytes([number]) * (number + 1))
            assert read_shelf(tmp_path / "a", number) == bytes([number]) * (number + 1)
    assert shelf_length(tmp_path / "a") == 3
    assert read_shelf(tmp_path / "a", 2) is None and read_shelf(tmp_path / "b", 0) is None


def test_a_linked_shelf_outlives_a_new_one_of_its_name(tmp_path):
    with ShelfWriter(tmp_path / "a") as shelf:
        shelf.add(0, b"old")
    link_shelf(tmp_path / "a", tmp_path / "b")
    with ShelfWriter(tmp_path / "a") as shelf:
        shelf.add(0, b"new")
    assert (read_shelf(tmp_path / "a", 0), read_shelf(tmp_path / "b", 0)) == (b"new", b"old")
    remove_shelf(tmp_path / "a")
    assert read_shelf(tmp_path / "a", 0) is None and sorted(p.name for p in tmp_path.iterdir()) == [
        "b.index",
        "b.shelf",
    ]


def test_a_record_that_was_cut_off_is_not_read(tmp_path):
    with ShelfWriter(tmp_path / "a") as shelf:
        shelf.add(0, b"one")
        shelf.add(1, b"two")
    index = tmp_path / "a.index"
    index.write_bytes(index.read_bytes()[:-1])
    assert read_shelf(tmp_path / "a", 0) == b"one" and read_shelf(tmp_path / "a", 1) is None
