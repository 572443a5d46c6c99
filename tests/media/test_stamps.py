"""A source that changed is noticed."""

import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media.stamps import check_stamps, source_files, stamps_of


def test_a_changed_image_of_a_folder_is_noticed(tmp_path):
    folder = clip_files.folder(tmp_path / "frames", clip_files.moving(3))
    before = stamps_of(folder)
    check_stamps(folder, before)
    assert len(source_files(folder)) == 3
    source_files(folder)[1].write_bytes(b"other")
    with pytest.raises(UserError, match=r"frames: changed while it was used, start again$"):
        check_stamps(folder, before)
