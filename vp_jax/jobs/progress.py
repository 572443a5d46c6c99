"""A progress bar with the time left, for work that reports ``(done, total, label)``."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm


class Progress:
    """Context manager and callable: ``with Progress() as progress: work(progress)``.

    ``progress(done, total, label)`` moves the bar to ``done`` of ``total`` and shows ``label`` beside it. The first
    step compiles and takes long, so the time left is an average over recent steps, not over all.
    """

    def __init__(self) -> None:
        self._bar = tqdm(
            total=0,
            unit="step",
            smoothing=0.3,
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]",
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int, label: str) -> None:
        if done > self._bar.n + 1:  # steps come one by one: the others were done by an earlier run, in no time of ours
            self._bar.initial = self._bar.n = done
        self._bar.total = total
        self._bar.set_description_str(label, refresh=False)
        if done > self._bar.n:
            self._bar.update(done - self._bar.n)
        else:  # a new label, or a first call that shows an empty bar while the model compiles
            self._bar.n = done
            self._bar.refresh()
