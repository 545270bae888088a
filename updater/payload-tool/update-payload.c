/* SPDX-License-Identifier: Apache-2.0 */

/* update-payload: makes slots' images, and makes, signs, shows, verifies and unpacks payloads,
 * and says what machines would fetch of them.
 *
 * Exit codes: 0 done; 1 failed or not verified; 2 the command line is wrong. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "updater/payload-tool/payload-tool.h"

static const Verb verbs[] = {
        {"image", 0, -1, "[OPTION...] --fs FS -o OUT", "make what a slot holds of a file system",
                update_payload_image},
        {"create", 0, -1, "[OPTION...] -o OUT NAME=IMAGE...", "make a payload from images",
                update_payload_create},
        {"sign", 0, -1, "[OPTION...] PAYLOAD", "sign with a key that is kept elsewhere",
                update_payload_sign},
        {"show", 0, -1, "[--json] PAYLOAD", "say what is in a payload; verifies nothing",
                update_payload_show},
        {"estimate", 0, -1, "[--json] --from OLD PAYLOAD",
                "say what machines that run OLD fetch of it", update_payload_estimate},
        {"verify", 0, -1, "KEYS [--full] [--from OLD] PAYLOAD", "check signatures and data",
                update_payload_verify},
        {"extract", 0, -1, "KEYS [-p NAME] [--from OLD] -o IMAGE PAYLOAD",
                "verify, and write a partition", update_payload_extract},
        {0},
};

static const char options_help[] =
        "\n"
        "image:\n"
        "  --fs FS               the file system of /usr\n"
        "  --product NAME, --version VERSION\n"
        "                        what it holds\n"
        "  --stub STUB, --linux KERNEL, --initrd INITRD, --cmdline TEXT\n"
        "                        the kernel image that boots it: systemd's boot stub, a kernel with\n"
        "                        an EFI stub, initrds (several times), the kernel's command line\n"
        "  --secureboot-key PEM, --secureboot-certificate PEM\n"
        "                        sign the kernel image with sbsign\n"
        "  --size SIZE           of the slot, in bytes or with K, M, G, T: to write the image to a\n"
        "                        disk as it is; an update fits every slot that is large enough\n"
        "  --salt HEX, --no-salt of the hash tree; otherwise derived from the product\n"
        "  -o, --output OUT      file system, hash tree, kernel image, trailer\n"
        "\n"
        "create:\n"
        "  --format 1            for clients of CoreOS and Flatcar, which know nothing newer: of\n"
        "                        USR=IMAGE and perhaps KERNEL=FILE, PCR_POLICY=FILE; takes\n"
        "                        --key (RSA), --signature-size and --threads only\n"
        "  --product NAME        what the payload is for; clients of another product refuse it\n"
        "  --version VERSION     what the images hold\n"
        "  --min-version VERSION the oldest running version that may install it\n"
        "  --from OLD            make a delta, for machines that run this image and no others: each\n"
        "                        chunk is copied from OLD, patched, or sent, whatever is smallest;\n"
        "                        with several partitions NAME=OLD, several times\n"
        "  --from-version VERSION\n"
        "                        what OLD holds; where it has a trailer, that says it\n"
        "  --key PEM             sign with this private key (RSA of 2048 to 4096 bits, Ed25519);\n"
        "                        may be given several times\n"
        "  --signature-size N    leave room for a signature of N bytes, to be put in by 'sign':\n"
        "                        256 to 512 for RSA, 64 for Ed25519; several times\n"
        "  --threads N           otherwise one per processor; the payload is the same\n"
        "  --level N             of zstd, otherwise 5; 9 takes half as long again for 3 % less\n"
        "  --frame-size SIZE     what a machine fetches at least of what it lacks, uncompressed: 4K to\n"
        "                        256K, otherwise 16K; larger ones compress better\n"
        "  --frame-prefix SIZE   how much of what lies before it a frame may refer to: up to 128K,\n"
        "                        which is the default, or 0, as any zstd decoder reads it\n"
        "  --salt HEX, --no-salt of the hash tree; otherwise derived from product and partition\n"
        "  --no-verity           the images come with their own tree, or have none\n"
        "  -o, --output OUT      the payload; its folder needs room for it twice\n"
        "\n"
        "sign, first step, writes what has to be signed, the 32 bytes of a SHA-256 each:\n"
        "  --metadata-digest FILE --payload-digest FILE; format 1 has only the second\n"
        "  RSA:     openssl pkeyutl -sign -inkey KEY -pkeyopt digest:sha256 -in FILE -out SIGN\n"
        "  Ed25519: openssl pkeyutl -sign -inkey KEY -rawin -in FILE -out SIGN\n"
        "sign, second step, puts signatures into the room that create left; several times:\n"
        "  --metadata-signature FILE --payload-signature FILE -o OUT [KEYS]\n"
        "\n"
        "estimate:\n"
        "  --from OLD            what the machines run: of an image by 'image', its tree is read; all\n"
        "                        others are hashed; with several partitions NAME=OLD\n"
        "show, estimate:\n"
        "  --json                print JSON\n"
        "\n"
        "verify:\n"
        "  --full                also make every partition, in $TMPDIR or /var/tmp, and hold its\n"
        "                        hash, root hash and block index against the manifest\n"
        "  --from OLD            of a delta: what it begins with, as for create; without it, only\n"
        "                        signatures, structure and the data's hashes are checked\n"
        "extract:\n"
        "  --from OLD            of a delta: what it begins with, as for create\n"
        "  -p, --partition NAME  needed where the payload has several\n"
        "  -o, --output IMAGE    file system and hash tree, as they lie in a slot\n"
        "\n"
        "KEYS, each several times; any one key is enough:\n"
        "  --public-key PEM      a public key\n"
        "  --key-dir DIR         a folder of public keys, *.pem\n"
        "\n"
        "  -h, --help            this, anywhere\n"
        "  --version\n"
        "\n"
        "Exit codes: 0 done; 1 failed or not verified; 2 wrong command line.\n";

static void print_help(void)
{
    printf("usage: " UPDATE_PAYLOAD " VERB [OPTION...] [ARGUMENT...]\n\n"
           "Makes, signs, shows, verifies and unpacks the payloads that update-engine installs.\n"
           "\n");
    verbs_print_help(verbs);
    fputs(options_help, stdout);
}

/* Before the verb or behind it. */
static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    int r = EXIT_SUCCESS;
    if (wants_help(argc, argv))
        print_help();
    else if (argc > 1 && strcmp(argv[1], "--version") == 0)
        printf(UPDATE_PAYLOAD " " FLIPSIDE_VERSION "\n");
    else
        r = verbs_run(verbs, UPDATE_PAYLOAD, argc - 1, argv + 1, NULL);
    return verbs_end(UPDATE_PAYLOAD, r);
}
