#!/usr/bin/env python3
"""Checks which headers each stage includes: base, graph, ops and the stages before it, nothing later.

usage: check_layers.py [ROOT]     exit 1 and one line per fault
Files directly in src/ tie the stages together and may include all of them; the command line, the benchmarks and the
examples see what a user sees, the public header.
"""

import re
import sys
from pathlib import Path

# Every stage and what it may include beside its own headers and the public one. ops and shapes name each other: an
# operator's row points at its shape rule.
CORE = ["base", "graph", "ops", "shapes"]
ALLOWED = {
    "base": [],
    "graph": ["base"],
    "ops": ["base", "graph", "shapes"],
    "shapes": ["base", "graph", "ops"],
    "ir": CORE,
    "readers": ["base", "graph", "ops", "ir"],
    "kernels": CORE,
    "compat": [*CORE, "ir", "kernels"],
    "features": [*CORE, "kernels"],
    "predictors": [*CORE, "kernels", "compat", "features"],
    "fetch": ["base", "predictors"],
    "report": [*CORE, "kernels", "compat", "features"],
    "torchvision": ["base"],
}
PUBLIC_ONLY = ["cli", "bench", "examples"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def includes(path):
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1)


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".c", ".h", ".inc"))


def faults(root):
    source = root / "src"
    for stage in sorted(path.name for path in source.iterdir() if path.is_dir()):
        if stage not in ALLOWED:
            yield f"src/{stage}: unknown stage; give it a row in {Path(__file__).name}"
            continue
        for path in sources(source / stage):
            for line, header in includes(path):
                owner = header.split("/")[0] if "/" in header else stage
                if owner in (stage, "nnmeter") or owner in ALLOWED[stage]:
                    continue
                if owner in ALLOWED or (source / header).exists():
                    yield f'{path.relative_to(root)}:{line}: stage {stage} may not include "{header}"'
    for folder in PUBLIC_ONLY:
        for path in sources(root / folder):
            for line, header in includes(path):
                if header != "nnmeter/nnmeter.h" and not (path.parent / header).exists():
                    yield f'{path.relative_to(root)}:{line}: only the public header here, not "{header}"'


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = list(faults(root))
    for fault in found:
        print(fault)
    print(f"layers: {len(found)} faults in {len(sources(root / 'src'))} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
