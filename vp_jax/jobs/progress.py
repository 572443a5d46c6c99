"""A progress bar with the time left, for work that reports ``(done, total, label)``."""

from __future__ import annotations

from types import TracebackType

from tqdm import tqdm


class Progress:
    """Context manager and callable: ``with Progress() as progress: work(progress)``.

    ``progress(done, total, label)`` moves the bar to ``done`` of ``total`` and shows ``label`` beside it; the first
    call draws it. The first step compiles and takes long, so the time left is an average over recent steps.
    """

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the bar as it is; the next call draws another one."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def __call__(self, done: int, total: int, label: str) -> None:
        """Move the bar and change its label."""
        if self._bar is not None and not done and self._bar.n:
            self.close()  # other work begins
        if self._bar is None:
            self._bar = tqdm(
                total=total,
                initial=done,
                desc=label,
                unit="step",
                smoothing=0.3,
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left]",
            )
            return
        bar = self._bar
        if done > bar.n + 1:  # steps come one by one: the others were done by an earlier run, in no time of ours
            bar.initial = bar.n = done
        bar.total = total
        bar.set_description_str(label, refresh=False)
        if done > bar.n:
            bar.update(done - bar.n)
        else:  # a new label, or a first call that shows an empty bar while the model compiles
            bar.n = done
            bar.refresh()
