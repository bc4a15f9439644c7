"""The load test itself, for a few seconds against a server with the fake encoder."""

import asyncio
import csv
import sys
from pathlib import Path

from server.settings import Settings
from tests.server.conftest import run_server


async def test_two_callers_leave_locusts_own_statistics(tmp_path: Path) -> None:
    async with run_server(Settings(workers=1, importance=False)) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary"),
            *("--users", "2", "--spawn-rate", "2", "--run-time", "10s", "--host", server.http),
            *("--csv", str(tmp_path / "load"), "--html", str(tmp_path / "load.html")),
        )
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert server.hub.calls == []
    with (tmp_path / "load_stats.csv").open() as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    assert int(rows["encode p-frame"]["Request Count"]) > 20
    assert int(rows["encode key-frame"]["Request Count"]) == 2
    assert int(rows["end-to-end delay"]["Request Count"]) > 20
    assert int(rows["join to first picture"]["Request Count"]) == 2
    assert all(row["Failure Count"] == "0" for row in rows.values())
    assert 0 < float(rows["end-to-end delay"]["Median Response Time"]) < 2000
    assert (tmp_path / "load.html").stat().st_size > 1000
