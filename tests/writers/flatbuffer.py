"""Writes FlatBuffers by hand, well-formed or not: what no library would write is what the reader has to survive.

A table is a dict from field number to value. Values: numbers with their type (i8, u8, i32, i64, u32, u64, f32), text, lists
of tables, of numbers of one type (ints), raw bytes, and tables. The same Python object in two places is written once
and shared.
"""

import struct


class Number:
    """A number of a given struct format."""

    def __init__(self, kind, value):
        self.bytes = struct.pack("<" + kind, value)


def i8(value):
    return Number("b", value)


def u8(value):
    return Number("B", value)


def i32(value):
    return Number("i", value)


def i64(value):
    return Number("q", value)


def u32(value):
    return Number("I", value)


def u64(value):
    return Number("Q", value)


def f32(value):
    return Number("f", value)


class Ints:
    """A vector of numbers: kind as in struct."""

    def __init__(self, values, kind="i"):
        self.values, self.kind = list(values), kind


class Raw:
    """A vector of bytes."""

    def __init__(self, content):
        self.content = bytes(content)


class Writer:
    """Front to back, depth first, every object once; offsets are filled in when their target is written.

    share_layouts: tables of the same fields have one vtable, as other writers do it; else each has its own.
    """

    def __init__(self, identifier, share_layouts=False):
        self.out = bytearray(b"\0\0\0\0" + identifier)
        self.places = {}
        self.layouts = {} if share_layouts else None
        self.kept = []  # so that ids stay those of living objects

    def pad(self, size, behind=0):
        while (len(self.out) + behind) % size:
            self.out.append(0)

    def point(self, at, target):
        """Fills in an offset. They only lead forwards: what lies in front is written once more."""
        if self.places.get(id(target), at) < at:
            del self.places[id(target)]
        place = self.write(target)
        struct.pack_into("<I", self.out, at, place - at)

    def write(self, value):
        """The place of an object, which is written unless it is there already."""
        if id(value) in self.places:
            return self.places[id(value)]
        self.kept.append(value)
        if isinstance(value, dict):
            return self.table(value)
        if isinstance(value, list):
            return self.tables(value)
        if isinstance(value, str):
            value, end = value.encode(), b"\0"
        elif isinstance(value, Raw):
            value, end = value.content, b""
        else:
            return self.numbers(value)
        self.pad(4)
        place = len(self.out)
        self.places[id(self.kept[-1])] = place
        self.out += struct.pack("<I", len(value)) + value + end
        return place

    def numbers(self, value):
        self.pad(8, 4)
        place = self.places[id(value)] = len(self.out)
        self.out += struct.pack("<I", len(value.values)) + struct.pack(
            f"<{len(value.values)}{value.kind}", *value.values
        )
        return place

    def tables(self, value):
        self.pad(4)
        place = self.places[id(value)] = len(self.out)
        self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for index, item in enumerate(value):
            self.point(place + 4 + 4 * index, item)
        return place

    def layout(self, content):
        """The place of a vtable; behind it a table can begin."""
        known = self.layouts.get(content) if self.layouts is not None else None
        if known is not None:
            self.pad(8)
            return known
        self.pad(8, len(content))
        place = len(self.out)
        self.out += content
        if self.layouts is not None:
            self.layouts[content] = place
        return place

    def table(self, value):
        fields = {field: item for field, item in value.items() if item is not None}
        count = max(fields, default=-1) + 1
        offsets, body, pointers = [0] * count, bytearray(), []
        for field, item in sorted(fields.items(), key=lambda pair: pair[0]):
            content = item.bytes if isinstance(item, Number) else bytes(4)
            while (4 + len(body)) % len(content):
                body.append(0)
            offsets[field] = 4 + len(body)
            if not isinstance(item, Number):
                pointers.append((4 + len(body), item))
            body += content
        vtable = self.layout(struct.pack(f"<{2 + count}H", 4 + 2 * count, 4 + len(body), *offsets))
        place = self.places[id(value)] = len(self.out)
        self.out += struct.pack("<i", place - vtable) + body
        for offset, item in pointers:
            self.point(place + offset, item)
        return place


def flatbuffer(root, identifier=b"TFL3", share_layouts=False):
    writer = Writer(identifier, share_layouts)
    writer.point(0, root)
    return bytes(writer.out)
