"""A finished run, opened again."""

from tests import clip_files
from tests.vpbench.small_bench import small_run, small_world
from vp_jax.vpbench.methods import FolderMethod
from vp_jax.vpbench.reopened import reopened, result_places
from vp_jax.vpbench.rows import merged_rows


def test_the_benchmark_and_the_places_of_its_results_are_found_again(finished, tmp_path):
    benchmark = reopened(finished.description())
    assert [clip.facts for clip in benchmark.clips] == [clip.facts for clip in small_world().clips]
    rows = merged_rows([finished])
    places = result_places([finished], benchmark, rows)
    assert len(places) == 4 and all(path.is_file() for path in places.values())


def test_results_of_other_programs_are_found_where_they_were(tmp_path):
    benchmark = small_world(("fill",))
    clip_files.folder(tmp_path / "fill-000", benchmark.clips[0].open().frames_FHWC)
    run = small_run(tmp_path / "run", benchmark, [FolderMethod("other", tmp_path)])
    (done,) = run.rows()
    assert done.row.values["psnr_hole"] == 100
    places = result_places([run.store], reopened(run.store.description()), [done.row])
    assert places == {("fill-000", "other", 0): tmp_path / "fill-000"}
