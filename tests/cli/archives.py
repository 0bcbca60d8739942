"""Predictor archives of nn-Meter 2.0's layout, and hostile ones."""

import io
import stat
import struct
import zipfile
from pathlib import Path

PICKLE = (Path(__file__).resolve().parents[1] / "data/pickle/y_sklearn_1.7.2_protocol_4.pkl").read_bytes()
RULES = b'{"BF_conv_relu": {"obey": true}}'


def archive(entries, method=zipfile.ZIP_DEFLATED):
    """entries: (name or ZipInfo, content); a name may stand twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in entries:
            file.writestr(name, content)
    return buffer.getvalue()


def files(folder="phone/"):
    return [(f"{folder}bn.pkl", PICKLE), (f"{folder}conv-bn-relu.pkl", PICKLE), (f"{folder}fusion_rules.json", RULES)]


def good(folder="phone/"):
    """With what a graphical program of another system adds, and what no predictor needs."""
    return archive([("__MACOSX/phone/._fusion_rules.json", b"x"), (f"{folder}notes.txt", b"x"), *files(folder)])


def special(kind, content=b"/etc/passwd"):
    entry = zipfile.ZipInfo("phone/add.pkl")
    entry.create_system = 3
    entry.external_attr = (kind | 0o777) << 16
    return entry, content


def patched(data, signature, offset, new):
    """data with the bytes at offset behind the first signature replaced."""
    at = data.index(signature) + offset
    return data[:at] + new + data[at + len(new) :]


def encrypted():
    data = archive(files())
    return patched(patched(data, b"PK\1\2", 8, b"\1\0"), b"PK\3\4", 6, b"\1\0")


def bomb():
    return archive([("phone/add.pkl", bytes(64 << 20)), *files()])


def many():
    return archive([(f"phone/{number}.pkl", b"") for number in range(1100)], zipfile.ZIP_STORED)


def longer_than_it_says():
    """The directory says 10 bytes, the data are 64 MB: below every limit by what it says."""
    data = archive([("phone/add.pkl", bytes(64 << 20)), *files()])
    return patched(patched(data, b"PK\1\2", 24, struct.pack("<I", 10)), b"PK\3\4", 22, struct.pack("<I", 10))


def zip64(count=2**40, size=2**40):
    """A directory of 2**40 entries, by a 64-bit end record."""
    record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, 0)
    locator = struct.pack("<IIQI", 0x07064B50, 0, 0, 1)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return record + locator + end


def zip64_size():
    """An entry of 2**62 bytes, by a 64-bit extra field."""
    data = archive([("phone/add.pkl", b"x"), *files()], zipfile.ZIP_STORED)
    at = data.index(b"PK\1\2")
    name_length = struct.unpack("<H", data[at + 28 : at + 30])[0]
    extra = struct.pack("<HHQ", 1, 8, 2**62)
    header = bytearray(data[at : at + 46 + name_length])
    header[24:28] = b"\xff\xff\xff\xff"
    header[30:32] = struct.pack("<H", len(extra))
    data = data[:at] + bytes(header) + extra + data[at + 46 + name_length :]
    end = data.rindex(b"PK\5\6")
    old = struct.unpack("<I", data[end + 12 : end + 16])[0]
    return data[: end + 12] + struct.pack("<I", old + len(extra)) + data[end + 16 :]


def damaged():
    data = archive(files(), zipfile.ZIP_STORED)
    at = data.index(PICKLE) + 100
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def evil_pickle():
    evil = (Path(__file__).resolve().parents[1] / "data/pickle/n_posix_system.pkl").read_bytes()
    return archive([("phone/add.pkl", evil), *files()])


TWICE = [("phone/bn.pkl", PICKLE)]
HOSTILE = {
    # what it is: archive, part of the message
    "path traversal": (lambda: archive([("phone/../../x.pkl", b"x"), *files()]), "leads out of the folder"),
    "absolute": (lambda: archive([("/tmp/x.pkl", b"x"), *files()]), "leads out of the folder"),
    "drive": (lambda: archive([("C:x.pkl", b"x"), *files()]), "leads out of the folder"),
    "backslash": (lambda: archive([("phone\\..\\x.pkl", b"x"), *files()]), "leads out of the folder"),
    "control characters": (lambda: archive([("phone/\x1b[2J\n.pkl", b"x"), *files()]), "no plain name"),
    "traversal by the rules": (lambda: archive([("../fusion_rules.json", RULES), ("../bn.pkl", PICKLE)]), "leads out"),
    "symbolic link": (lambda: archive([special(stat.S_IFLNK), *files()]), "is a link or a device"),
    "device": (lambda: archive([special(stat.S_IFCHR, b""), *files()]), "is a link or a device"),
    "twice": (lambda: archive([*files(), *TWICE]), "has this name twice"),
    "twice but for case": (lambda: archive([*files(), ("phone/BN.pkl", PICKLE)]), "has this name twice"),
    "encrypted": (encrypted, "is encrypted"),
    "bomb": (bomb, "times its size"),
    "many files": (many, "holds 1100 files"),
    "longer than it says": (longer_than_it_says, "damaged"),
    "zip64 directory": (zip64, "ZIP archive"),
    "zip64 directory of none": (lambda: zip64(0, 0), "holds no fusion_rules.json"),
    "zip64 size": (zip64_size, "would unpack to more than"),
    "damaged": (damaged, "damaged"),
    "cut short": (lambda: good()[:-30], "is no ZIP archive"),
    "only its end": (lambda: good()[-22:], "ZIP archive"),
    "a page": (lambda: b"<html>Please log in</html>", "is no ZIP archive"),
    "no rules": (lambda: archive(files()[:2]), "holds no fusion_rules.json"),
    "no pickles": (lambda: archive(files()[2:]), "no .pkl file"),
    "two predictors": (lambda: archive([*files("a/"), *files("b/")]), "holds several predictors"),
    "evil pickle": (evil_pickle, "asks to run posix.system"),
    "empty": (lambda: b"", "sent an empty file"),
    "a damaged predictor file": (lambda: b"NNMETER\0" + bytes(100), "predictor"),
}
