#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two etcd stores with newer etcds: that of Debian 13 with both APIs, the newest that any Debian
has with v3, for 3.6 has no v2 any more. Skipped where they cannot be had."""
import unittest

import etcd
import etcd_store_test
from lab import main

NEWER = etcd.newer()


class Oldest:
    binary = NEWER[0][1] if NEWER else None


class Newest:
    binary = NEWER[-1][1] if NEWER else None


@unittest.skipUnless(NEWER, "no etcd newer than Debian 12's is to be had here")
class V3(Oldest, etcd_store_test.V3, etcd_store_test.StoreTest):
    pass


@unittest.skipUnless(NEWER, "no etcd newer than Debian 12's is to be had here")
class V2(Oldest, etcd_store_test.V2, etcd_store_test.StoreTest):
    pass


@unittest.skipUnless(len(NEWER) > 1, "there is one newer etcd here at most")
class NewestV3(Newest, etcd_store_test.V3, etcd_store_test.StoreTest):
    pass


if __name__ == "__main__":
    main()
