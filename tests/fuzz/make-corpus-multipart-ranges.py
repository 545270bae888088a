#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes corpus/multipart-ranges: answers of servers to requests for several ranges, and what is
wrong with some. A file is named for what it is; fuzz-multipart-ranges.c says how it is laid out."""

import pathlib

FOLDER = pathlib.Path(__file__).parent / "corpus" / "multipart-ranges"


def part(span, body, boundary=b"B", more=b""):
    return (b"\r\n--" + boundary + b"\r\n" + more + b"Content-Range: bytes " + span + b"\r\n\r\n" +
            body)


def answer(name, *parts, boundary=b"B", end=b"\r\n--B--\r\n", kind=None):
    kind = kind or b"multipart/byteranges; boundary=" + boundary
    (FOLDER / name).write_bytes(kind + b"\n" + b"".join(parts) + end)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    first, second = part(b"0-3/100", b"abcd"), part(b"10-12/100", b"xyz")
    nginx, apache, python = b"00000000000000000007", b"5f0c1d2e3a4b5c6d", b"===1234567890=="
    binary = b"Content-Type: application/octet-stream\r\n"

    answer("nginx", part(b"0-3/100", b"abcd", nginx, binary), part(b"10-12/100", b"xyz", nginx, binary),
           boundary=nginx, end=b"\r\n--" + nginx + b"--\r\n")
    answer("apache", part(b"0-3/100", b"abcd", apache, binary)[2:],
           part(b"10-12/100", b"xyz", apache, binary), boundary=apache,
           end=b"\r\n--" + apache + b"--\r\n")
    answer("boundary-quoted", part(b"0-3/100", b"abcd", python),
           kind=b'multipart/byteranges; charset="a\\";"; boundary="' + python + b'"',
           end=b"\r\n--" + python + b"--")
    answer("body-looks-like-a-boundary", part(b"0-8/100", b"\r\n--B--\r\n"), second)
    answer("preamble", b"these are\r\n- parts\r\n", first)
    answer("no-total", part(b"7-9/*", b"789"))
    answer("no-parts", end=b"--B--")
    answer("not-in-order", second, first)
    answer("twice", first, first)

    answer("cut-in-a-header", first, second[:20], end=b"")
    answer("cut-in-a-body", first, second[:-1], end=b"")
    answer("cut-in-a-boundary", first, end=b"\r\n--")
    answer("not-ended", first, second, end=b"")
    answer("body-too-long", part(b"0-3/100", b"abcdefg"), second)
    answer("body-too-short", part(b"0-3/100", b"ab"), second)
    answer("boundary-of-another", part(b"0-3/100", b"abcd", b"C"), end=b"\r\n--C--")
    answer("boundary-longer", part(b"0-3/100", b"abcd", b"BB"), end=b"\r\n--BB--")
    answer("boundary-too-long", boundary=b"B" * 71)
    answer("boundary-empty", boundary=b"")
    answer("another-type", first, kind=b"multipart/mixed; boundary=B")
    answer("range-lacks", b"\r\n--B\r\n" + binary + b"\r\nabcd")
    answer("range-twice", part(b"0-3/100", b"abcd", more=b"Content-Range: bytes 0-3/100\r\n"))
    answer("range-turned", part(b"3-0/100", b"abcd"))
    answer("range-beyond-the-end", part(b"97-100/100", b"abcd"))
    answer("range-unsatisfied", part(b"*/100", b""))
    answer("range-of-all-there-is", part(b"0-18446744073709551615/*", b"abcd"))
    answer("range-too-large", part(b"0-99999999999999999999/*", b"abcd"))
    answer("header-too-long", part(b"0-3/100", b"abcd", more=b"X: y\r\n" * 400))
    answer("line-too-long", part(b"0-3/100", b"abcd", more=b"X: " + b"y" * 600 + b"\r\n"))
    answer("line-without-a-name", part(b"0-3/100", b"abcd", more=b"no name\r\n"))
    answer("lines-end-with-lf", first.replace(b"\r\n", b"\n"), end=b"\n--B--\n")
    answer("preamble-too-long", b"x" * 3000, first)


if __name__ == "__main__":
    main()
