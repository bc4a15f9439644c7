"""The tables that `splatcall bench speed` prints."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from codec.bench.engine_race import EngineRace
from codec.bench.figures import CodingFigures
from codec.bench.iteration import IterationFigures

__all__ = ["coding_table", "iteration_table", "race_table"]


def coding_table(coded: Iterable[CodingFigures], title: str) -> Table:
    """Return rate, quality and times of encoders."""
    table = Table(title=title)
    for heading in ("encoder", "size", "kbit/s", "luma dB", "key ms", "P wall ms p50", "p95", "P CPU ms p50"):
        table.add_column(heading, justify="left" if heading == "encoder" else "right", no_wrap=True)
    for figures in coded:
        times = (figures.key_ms, figures.p_wall_ms.p50, figures.p_wall_ms.p95, figures.p_cpu_ms.p50)
        size = f"{figures.width_px}x{figures.height_px}"
        rate = (f"{figures.kbps:.1f}", f"{figures.luma_db:.2f}")
        table.add_row(figures.encoder, size, *rate, *(f"{value:.1f}" for value in times))
    return table


def iteration_table(figures: Sequence[IterationFigures], size: tuple[int, int], splats: int) -> Table:
    """Return the times of one iteration of the fit, by threads."""
    table = Table(title=f"One forward + backward + Adam iteration, {size[0]}x{size[1]}, N = {splats}, ms")
    for heading in ("threads", "native", "prototype", "its kernels alone", "NumPy", "NumPy / native"):
        table.add_column(heading, justify="right")
    for entry in figures:
        rivals = (entry.prototype_ms, entry.prototype_kernels_ms)
        table.add_row(
            str(entry.threads),
            f"{entry.native_ms:.2f}",
            *("-" if value is None else f"{value:.2f}" for value in rivals),
            f"{entry.numpy_ms:.0f}",
            f"{entry.numpy_ms / entry.native_ms:.0f}",
        )
    return table


def race_table(race: EngineRace) -> Table:
    """Return what each P-frame engine took and what it came to, by lambda."""
    size = f"{race.width_px}x{race.height_px}"
    table = Table(
        title=f"P-frame engines by turns, {size}, {race.frames} frames, {race.threads} threads",
        caption=_race_caption(race),
    )
    for heading in ("lambda", "engine", "wall ms", "CPU ms", "bits a frame", "luma dB", "changed", "wall ratio", "CPU"):
        table.add_column(heading, justify="left" if heading == "engine" else "right", no_wrap=True)
    for point in race.points:
        named = (("ours", point.ours), ("prototype", point.prototype))
        for name, figures in named:
            ours = name == "ours"
            table.add_row(
                f"{point.lambda_:.0f}",
                name,
                f"{figures.ms:.1f}",
                f"{figures.cpu_ms:.1f}",
                f"{figures.bits:.0f}" + (f" ({point.packed_bits:.0f} packed)" if ours else ""),
                f"{figures.luma_db:.2f}",
                f"{figures.changed:.0f}",
                "" if ours else f"{point.ratio:.2f}",
                "" if ours else f"{point.cpu_ratio:.2f}",
            )
    return table


def _race_caption(race: EngineRace) -> str:
    """Return what the whole race came to."""
    times = f"prototype's time / ours, median over all frames: {race.ratio:.2f} wall, {race.cpu_ratio:.2f} CPU"
    if race.bd_rate_percent is None or race.packed_bd_rate_percent is None:
        return times
    low, high = race.bd_range_db
    rates = f"{race.bd_rate_percent:+.1f}% as counted, {race.packed_bd_rate_percent:+.1f}% as packed"
    return f"{times}; our rate over its, {low:.1f} to {high:.1f} dB: {rates}"
