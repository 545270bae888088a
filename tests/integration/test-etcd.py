#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The two etcd stores with the etcd of this Debian."""
import etcd_store_test
from lab import main


class V3(etcd_store_test.V3, etcd_store_test.StoreTest):
    pass


class V2(etcd_store_test.V2, etcd_store_test.StoreTest):
    pass


if __name__ == "__main__":
    main()
