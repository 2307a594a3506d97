"""Computations of the page: one at a time, and the newest request of a view wins."""

import asyncio
import threading
import time

from vaelab.explore.worker import Newest, compute


def test_of_many_requests_the_first_and_the_last_are_computed():
    shown, failed, started = [], [], threading.Event()

    def slow() -> int:
        started.set()
        time.sleep(0.2)
        return 0

    async def run() -> None:
        newest = Newest(shown.append, failed.append)
        first = asyncio.create_task(newest.ask(slow))
        while not started.is_set():
            await asyncio.sleep(0.01)
        for value in range(1, 50):
            await newest.ask(lambda value=value: value)
        await first

    asyncio.run(run())
    assert shown == [0, 49]
    assert failed == []


def test_a_computation_that_fails_does_not_stop_the_next():
    shown, failed = [], []

    async def run() -> None:
        newest = Newest(shown.append, failed.append)
        await newest.ask(lambda: 1 // 0)
        await newest.ask(lambda: 2)

    asyncio.run(run())
    assert shown == [2]
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_computations_of_two_pages_never_overlap():
    inside, most = [0], [0]

    def work() -> None:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1

    async def run() -> None:
        await asyncio.gather(*(compute(work) for _ in range(8)))

    asyncio.run(run())
    assert most == [1]
