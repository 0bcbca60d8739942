"""Progress of a fit: a bar on standard error when that is a terminal, calls for whoever wants to know."""

import sys
import time


class Silent:
    """Hands progress on to report(stage, share done), if there is one."""

    def __init__(self, report=None):
        self.report = report

    def stage(self, name, plain=False):
        """Says that the stage begins; a function that training calls with (share, network), or, plain, the share alone."""

        def plainly(share):
            if self.report:
                self.report(name, share)

        plainly(0.0)
        return plainly if plain else lambda share, network: plainly(share)

    def close(self):
        if self.report:
            self.report("done", 1.0)


class Bar:
    """report() for a terminal: "training [####....] 40 % 12 s". Draws nothing elsewhere."""

    WIDTH, EVERY_S = 30, 0.1

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.wanted, self.began, self.drawn = self.stream.isatty(), time.monotonic(), 0.0

    def __call__(self, stage, share):
        if not self.wanted:
            return
        now = time.monotonic()
        if stage == "done":
            self.clear()
        elif now - self.drawn >= self.EVERY_S:
            self.drawn = now
            filled = int(share * self.WIDTH)
            bar = "#" * filled + "." * (self.WIDTH - filled)
            self.stream.write(f"\r\033[K{stage} [{bar}] {share:4.0%} {now - self.began:.0f} s")
            self.stream.flush()

    def clear(self):
        if self.wanted:
            self.stream.write("\r\033[K")
            self.stream.flush()
