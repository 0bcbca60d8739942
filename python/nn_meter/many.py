"""The same for many things, on several cores."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from ._core import Error

AHEAD = 4  # things in work or waiting, per thread: results are not piled up when nobody fetches them
AT_ONCE = 8  # things that a thread takes at a time: handing over costs as much as predicting a small model


def _groups(items, size):
    group = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def in_order(function, items, jobs=None, keep_going=False):
    """An iterator over function(item) in the order of the items. keep_going: an nn_meter.Error is given, not raised."""

    def one(item):
        try:
            return function(item)
        except Error as error:
            if not keep_going:
                raise
            return error

    def group_of(items):
        return [one(item) for item in items]

    jobs = jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else jobs or os.cpu_count() or 1
    if jobs == 1:
        yield from map(one, items)
        return
    with ThreadPoolExecutor(jobs) as pool:
        waiting = deque()
        try:
            for group in _groups(items, AT_ONCE):
                waiting.append(pool.submit(group_of, group))
                if len(waiting) >= AHEAD * jobs:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
