#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the corpora of the payload's fuzzers, corpus/manifest{,-v1}, corpus/signature-set and
# corpus/payload-header, out of text and the format's description. A file is named for what it is or
# for the rule that it breaks.
# Needs protoc (protobuf-compiler).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=../..

encode() { # usage: encode MESSAGE FILE <TEXT
    protoc --proto_path="$root" --encode="wire.$1" "$root/updater/payload/manifest.proto" >"$2"
}

hash='\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\020'
hash=$hash$hash

# A partition of two data blocks with a tree of one, and the operations given.
manifest() { # usage: manifest FILE OPERATIONS [PARTITION-FIELDS [MANIFEST-FIELDS]]
    encode DeltaArchiveManifest "corpus/manifest/$1" <<END
product: "demo" version: "1.0"
signatures_offset: ${signatures_offset-8192} signatures_size: 267
partitions {
  partition_name: "usr"
  new_partition_info { size: ${size-12288} hash: "$hash" }
  hash_tree_data_extent { start_block: 0 num_blocks: 2 }
  hash_tree_extent { start_block: 2 num_blocks: 1 }
  hash_tree_algorithm: "sha256" hash_tree_salt: "salt" root_hash: "$hash"
  $2
  ${3-}
}
${4-}
END
}

extent() { echo "dst_extents { start_block: $1 num_blocks: $2 }"; }
replace() { # usage: replace TYPE OFFSET LENGTH EXTENTS [FIELDS]
    echo "operations { type: $1 data_offset: $2 data_length: $3 data_sha256_hash: \"$hash\" $4 ${5-} }"
}
zero() { echo "operations { type: ZERO $1 }"; }

mkdir -p corpus/manifest{,-v1} corpus/signature-set corpus/payload-header

both=$(extent 0 2)
good=$(replace REPLACE 0 8192 "$both")
manifest good "$good"
manifest good-with-index "$good" 'block_index: "0123456789abcdef"'
manifest good-with-minimum-version "$good" '' 'min_version: "0.9" block_size: 4096 minor_version: 0'
manifest good-two-extents "$(replace REPLACE 0 8192 "$(extent 1 1) $(extent 0 1)")"
signatures_offset=100 manifest good-zstd-frames \
    "$(replace REPLACE_ZSTD 0 100 "$both" 'frame_bytes: 100')"
signatures_offset=30 manifest good-each-type \
    "$(replace REPLACE_XZ 0 10 "$(extent 0 1)") $(replace REPLACE_BZ 10 20 "$(extent 1 1)")"
signatures_offset=0 manifest good-zeros "$(zero "$both")"
manifest delta-from-nothing "$good" '' 'minor_version: 6'
manifest minor-version-in-place "$good" '' 'minor_version: 1'
manifest minor-version-to-come "$good" '' 'minor_version: 7'
manifest blocks-of-512 "$good" '' 'block_size: 512'
manifest two-partitions-of-a-name "$good" '' "partitions { partition_name: \"usr\"
    new_partition_info { size: 4096 hash: \"$hash\" } $(zero "$(extent 0 1)") }"
signatures_offset=18446744073709551615 manifest signature-past-the-end "$good"
manifest extent-outside "$(replace REPLACE 0 8192 "$(extent 1 2)")"
manifest extent-at-the-end-of-numbers "$(replace REPLACE 0 8192 "$(extent 18446744073709551615 2)")"
manifest extents-overlap "$(replace REPLACE 0 8192 "$(extent 0 2) $(extent 1 1)")"
manifest extent-empty "$(replace REPLACE 0 8192 "$both $(extent 0 0)")"
manifest extents-too-many-blocks \
    "$(replace REPLACE 0 8192 "$(extent 0 18446744073709551615) $(extent 0 2)")"
manifest block-never-written "$(replace REPLACE 0 8192 "$(extent 0 1)")"
manifest data-with-a-gap "$(replace REPLACE 1 8192 "$both")"
manifest data-too-long "$(replace REPLACE 0 18446744073709551615 "$both")"
manifest data-without-hash "operations { type: REPLACE data_offset: 0 data_length: 8192 $both }"
manifest zeros-with-data "$(replace ZERO 0 8192 "$both")"

delta() { # usage: delta FILE OPERATIONS [MANIFEST-FIELDS]
    manifest "$1" "$2" "old_partition_info { size: ${old_size-16384} hash: \"$hash\" }" \
        "${3-minor_version: 6 source_version: \"0.9\"}"
}
from() { echo "src_extents { start_block: $1 num_blocks: $2 }"; }
source_hash="src_sha256_hash: \"$hash\""
copy="operations { type: SOURCE_COPY $(from 3 1) $source_hash $(extent 0 1) }"
patch=$(replace SOURCE_BSDIFF 0 8192 "$(extent 1 1)" "$(from 0 4) $source_hash")
delta good-delta "$copy $patch"
delta good-delta-of-minor-2 "$copy $patch" 'minor_version: 2'
signatures_offset=0 delta good-delta-of-two-extents \
    "operations { type: SOURCE_COPY $(from 3 1) $(from 0 1) $source_hash $both }"
delta full-with-a-source "$copy $patch" 'minor_version: 0'
manifest source-of-which-nothing-is-said "$copy $patch" '' 'minor_version: 6'
delta source-without-hash "$copy $(replace SOURCE_BSDIFF 0 8192 "$(extent 1 1)" "$(from 0 4)")"
old_size=12288 delta source-outside "$copy $patch"
old_size=12289 delta source-not-of-blocks "$copy $patch"
delta source-at-the-end-of-numbers "$copy $(replace SOURCE_BSDIFF 0 8192 "$(extent 1 1)" \
    "$(from 18446744073709551615 1) $source_hash")"
delta source-of-nothing "$copy $(replace SOURCE_BSDIFF 0 8192 "$(extent 1 1)" "$source_hash")"
delta source-too-long "$copy $(replace SOURCE_BSDIFF 0 8192 "$(extent 1 1)" \
    "$(for _ in {1..600}; do from 0 4; done) $source_hash")"
delta copy-of-another-length "$patch operations { type: SOURCE_COPY $(from 0 2) $source_hash
    $(extent 0 1) }"
delta copy-with-data "$(replace SOURCE_COPY 0 8192 "$both" "$(from 0 2) $source_hash")"
delta zeros-with-a-source "operations { type: ZERO $(from 0 2) $both }"
signatures_offset=100 manifest frames-do-not-add-up \
    "$(replace REPLACE_ZSTD 0 100 "$both" 'frame_bytes: 60 frame_bytes: 50')"
signatures_offset=100 manifest good-frames-of-a-block \
    "$(replace REPLACE_ZSTD 0 100 "$both" 'frame_bytes: 60 frame_bytes: 40')" '' 'frame_size: 4096'
signatures_offset=100 manifest good-frames-of-256-kib \
    "$(replace REPLACE_ZSTD 0 100 "$both" 'frame_bytes: 100')" '' 'frame_size: 262144'
signatures_offset=100 manifest frames-fewer-than-their-size-makes \
    "$(replace REPLACE_ZSTD 0 100 "$both" 'frame_bytes: 100')" '' 'frame_size: 4096'
frames=$(replace REPLACE_ZSTD 0 100 "$both")
signatures_offset=100 manifest frames-of-nothing "$frames" '' 'frame_size: 0'
signatures_offset=100 manifest frames-smaller-than-a-block "$frames" '' 'frame_size: 2048'
signatures_offset=100 manifest frames-of-three-blocks "$frames" '' 'frame_size: 12288'
signatures_offset=100 manifest frames-of-4-gib "$frames" '' 'frame_size: 4294967295'
both_frames='frame_bytes: 60 frame_bytes: 40'
back=$(replace REPLACE_ZSTD_PREFIX 0 100 "$both" "$both_frames")
signatures_offset=100 manifest good-frames-that-refer-back "$back" '' \
    'frame_size: 4096 frame_prefix: 131072'
signatures_offset=100 manifest good-prefix-that-nobody-uses "$frames" '' 'frame_prefix: 4096'
signatures_offset=100 manifest frames-that-refer-to-what-is-not-said "$back" '' 'frame_size: 4096'
signatures_offset=100 manifest frames-that-refer-back-without-a-list \
    "$(replace REPLACE_ZSTD_PREFIX 0 100 "$both")" '' 'frame_size: 4096 frame_prefix: 131072'
signatures_offset=100 manifest frames-that-refer-back-in-part \
    "$(replace REPLACE_ZSTD_PREFIX 0 100 "$both" 'frame_bytes: 60')" '' \
    'frame_size: 4096 frame_prefix: 131072'
signatures_offset=100 manifest frames-that-refer-to-4-gib "$back" '' \
    'frame_size: 4096 frame_prefix: 4294967295'
signatures_offset=100 manifest frames-that-refer-to-part-of-a-block "$back" '' \
    'frame_size: 4096 frame_prefix: 6144'
manifest index-too-long "$good" 'block_index: "0123456789abcdef0"'
manifest wants-a-program-run "$good" 'run_postinstall: true'
manifest wants-error-correction "$good" 'fec_extent { num_blocks: 9 }'
size=12289 manifest size-not-of-blocks "$good"
size=9223372036854775808 manifest size-of-half-of-all "$good"
encode DeltaArchiveManifest corpus/manifest/format-1 <<END
install_operations { type: REPLACE data_offset: 0 data_length: 3 $both }
END
head -c 100 corpus/manifest/good >corpus/manifest/cut
printf '\013\013\013\013\014' >corpus/manifest/groups
printf '\x6a\xff\xff\xff\xff\xff\xff\xff\xff\x7f' >corpus/manifest/length-of-all
printf '\x72\xff\xff\xff\xff\x0f' >corpus/manifest/length-of-4-gib
: >corpus/manifest/empty

# The same in format 1: a partition of two blocks and ten bytes, and a kernel.
manifest_v1() { # usage: manifest_v1 FILE OPERATIONS [FIELDS]
    protoc --proto_path="$root" --encode=wire1.DeltaArchiveManifest \
        "$root/updater/payload/manifest-v1.proto" >"corpus/manifest-v1/$1" <<END
signatures_offset: ${signatures_offset-500} signatures_size: 267
new_partition_info { size: 8202 hash: "$hash" }
$2
${3-}
END
}
part() { # usage: part TYPE OFFSET LENGTH EXTENTS [FIELDS]
    echo "partition_operations { ${*:5} type: $1 data_offset: $2 data_length: $3
        data_sha256_hash: \"$hash\" $4 }"
}
procedure() { # usage: procedure TYPE OFFSET LENGTH
    echo "procedures { type: $1 new_info { size: 4096 hash: \"$hash\" } operations {
        type: REPLACE data_offset: $2 data_length: $3 data_sha256_hash: \"$hash\" $(extent 0 1) } }"
}
source_of() { echo "src_extents { start_block: $1 num_blocks: $2 }"; }
old="old_partition_info { size: 8192 hash: \"$hash\" }"
hole=18446744073709551615

full=$(part REPLACE_BZ 0 500 "$(extent 0 256)")
manifest_v1 good "$full"
signatures_offset=700 manifest_v1 good-with-kernel "$full" "$(procedure KERNEL 500 200)"
signatures_offset=900 manifest_v1 good-with-all "$full" \
    "$(procedure KERNEL 500 200) $(procedure PCR_POLICY 700 200)
     noop_operations { type: REPLACE data_offset: 900 data_length: 267 $(extent $hole 1) }"
signatures_offset=0 manifest_v1 good-move \
    "partition_operations { type: MOVE $(source_of 0 2) $(extent 1 2) }" "$old"
manifest_v1 good-patch \
    "$(part BSDIFF 0 500 "$(extent 1 2)" "$(source_of 0 2) src_length: 8192 dst_length: 8000")" "$old"
manifest_v1 good-holes \
    "$(part BSDIFF 0 500 "$(extent $hole 1) $(extent 0 1)" \
        "$(source_of $hole 1) src_length: 4096 dst_length: 4097")" "$old"
manifest_v1 delta-without-old "partition_operations { type: MOVE $(source_of 0 2) $(extent 1 2) }"
signatures_offset=700 manifest_v1 kernel-twice "$full" \
    "$(procedure KERNEL 500 100) $(procedure KERNEL 600 100)"
manifest_v1 data-with-a-gap "$(part REPLACE 1 500 "$(extent 0 1)")"
manifest_v1 extent-of-all "$(part REPLACE 0 500 "$(extent 0 $hole)")"
manifest_v1 extents-twice "$(part REPLACE 0 250 "$(extent 0 3)") $(part REPLACE 250 250 "$(extent 0 3)")"
manifest_v1 extent-outside "$(part REPLACE 0 500 "$(extent 3 1)")"
manifest_v1 data-of-4-gib "$(part REPLACE 0 4294967295 "$(extent 0 1)")"

signatures() { encode Signatures "corpus/signature-set/$1"; }
signatures two-keys <<<'signatures { data: "0123456789abcdef" } signatures { version: 2 data: "x" }'
signatures padded <<<'signatures { data: "0123456789" unpadded_signature_size: 4 }'
signatures padded-past-its-end <<<'signatures { data: "0123" unpadded_signature_size: 4294967295 }'
signatures without-data <<<'signatures { version: 1 }'
signatures too-long <<<"signatures { data: \"$(head -c 513 /dev/zero | tr '\0' x)\" }"
for _ in {1..17}; do echo 'signatures { data: "x" }'; done | signatures too-many
printf '\012\177' >corpus/signature-set/cut
printf '\012\003\022\177x' >corpus/signature-set/entry-cut

header() { # usage: header FILE VERSION MANIFEST-BYTES SIGNATURE-BYTES
    printf 'CrAU\0\0\0\0\0\0\0%b%b%b' "${@:2}" >"corpus/payload-header/$1"
}
header good '\02' '\0000\0000\0000\0000\0000\0000\0000\0144' '\0000\0000\01\013'
header format-1 '\01' '\0000\0000\0000\0000\0000\0000\0000\0144' '\0000\0000\01\013'
header manifest-of-2-to-the-63 '\02' '\0200\0000\0000\0000\0000\0000\0000\0000' '\0000\0000\01\013'
header manifest-empty '\02' '\0000\0000\0000\0000\0000\0000\0000\0000' '\0000\0000\01\013'
header signature-empty '\02' '\0000\0000\0000\0000\0000\0000\0000\0144' '\0000\0000\0000\0000'
header signature-of-4-gib '\02' '\0000\0000\0000\0000\0000\0000\0000\0144' '\0377\0377\0377\0377'
printf 'BZh91AY&SY0123456789abcdef' >corpus/payload-header/another-file
printf 'CrAU' >corpus/payload-header/cut
