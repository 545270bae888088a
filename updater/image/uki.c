/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/image/uki.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/bytes.h"
#include "common/fd-io.h"
#include "updater/image/pe-file.h"
#include "updater/image/run-tool.h"

#define PIECE_BYTES ((size_t)256 * 1024)
#define PAGE_BYTES 4096
#define INITRD_ALIGNMENT 4 /* of what lies behind another (the kernel's buffer-format.rst) */
#define END_MAX UINT32_C(0x7fffffff)
#define FOLDER_BYTES 512

/* The files that go between us and the tools, in a folder that is removed at the end. */
typedef enum { FILE_OSREL, FILE_CMDLINE, FILE_INITRD, FILE_UKI, FILE_SIGNED, N_FILES } ScratchFile;

typedef struct {
    char folder[FOLDER_BYTES]; /* "" until it is made */
    char paths[N_FILES][FOLDER_BYTES + 16];
} Scratch;

static const char *const scratch_names[N_FILES] = {"osrel", "cmdline", "initrd", "uki", "signed"};

static void scratch_done(Scratch *scratch)
{
    if (!scratch->folder[0])
        return;
    for (size_t i = 0; i < N_FILES; i++)
        unlink(scratch->paths[i]);
    rmdir(scratch->folder);
}

static int scratch_init(Scratch *scratch, ErrorText *error)
{
    const char *parent = getenv("TMPDIR");
    char folder[FOLDER_BYTES];
    int n = snprintf(folder, sizeof(folder), "%s/update-payload-XXXXXX",
            parent && parent[0] == '/' ? parent : "/var/tmp");
    if ((size_t)n >= sizeof(folder))
        return error_say(error, -ENAMETOOLONG, "$TMPDIR is too long a path");
    if (!mkdtemp(folder))
        return error_say(error, -errno, "no folder can be made as %s: %m", folder);
    memcpy(scratch->folder, folder, sizeof(folder));
    for (size_t i = 0; i < N_FILES; i++)
        snprintf(scratch->paths[i], sizeof(scratch->paths[i]), "%s/%s", folder, scratch_names[i]);
    return 0;
}

static int open_input(const char *path, ErrorText *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_say(error, -errno, "%s cannot be opened: %m", path) : fd;
}

static int read_program(const char *path, PeFile *ret_file, ErrorText *error)
{
    ErrorText reason;
    _cleanup_close_ int fd = open_input(path, error);
    if (fd < 0)
        return fd;
    int r = pe_file_read(fd, ret_file, &reason);
    if (r < 0)
        return error_say(error, r == -EBADMSG ? -EINVAL : r, "%s %s", path, reason.line);
    return 0;
}

/* A kernel that the stub cannot start would be found out by the machines only. */
static int check_programs(const UkiOptions *options, PeFile *ret_stub, ErrorText *error)
{
    PeFile linux_file;
    int r = read_program(options->stub_path, ret_stub, error);
    if (r == 0)
        r = read_program(options->linux_path, &linux_file, error);
    if (r < 0)
        return r;
    if (pe_file_section(ret_stub, ".linux"))
        return error_say(error, -EINVAL, "%s has a kernel in it already: a boot stub is needed",
                options->stub_path);
    if (ret_stub->machine != linux_file.machine)
        return error_say(error, -EINVAL, "%s and %s are of different machines (%#x and %#x)",
                options->stub_path, options->linux_path, ret_stub->machine, linux_file.machine);
    return 0;
}

static int write_text(const char *path, const char *text)
{
    return atomic_file_write(AT_FDCWD, path, text, strlen(text), 0600);
}

/* As os-release(5) has values: what a shell would read otherwise gets a backslash. */
static void quote(const char *text, char *ret_quoted, size_t n_room)
{
    size_t n = 0;
    for (; *text && n + 2 < n_room; text++) {
        if (strchr("\"$`\\", *text))
            ret_quoted[n++] = '\\';
        ret_quoted[n++] = *text;
    }
    ret_quoted[n] = '\0';
}

static int write_osrel(const UkiOptions *options, const char *path)
{
    char product[512], version[512], text[4096];
    quote(options->product, product, sizeof(product));
    quote(options->version, version, sizeof(version));
    snprintf(text, sizeof(text),
            "NAME=\"%s\"\nPRETTY_NAME=\"%s %s\"\nVERSION_ID=\"%s\"\nIMAGE_VERSION=\"%s\"\n",
            product, product, version, version, version);
    return write_text(path, text);
}

static int append(int to_fd, const char *path, ErrorText *error)
{
    _cleanup_close_ int fd = open_input(path, error);
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    ssize_t n;
    if (fd < 0)
        return fd;
    if (!piece)
        return -ENOMEM;
    while ((n = read(fd, piece, PIECE_BYTES)) > 0) {
        int r = fd_write_full(to_fd, piece, (size_t)n);
        if (r < 0)
            return error_say(error, r, "a scratch file cannot be written: %s", strerror(-r));
    }
    return n < 0 ? error_say(error, -errno, "%s cannot be read: %m", path) : 0;
}

/* All initrds in one file. */
static int join_initrds(const UkiOptions *options, const char *out_path, ErrorText *error)
{
    _cleanup_close_ int fd = open(out_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (size_t i = 0; i < options->n_initrds; i++) {
        static const uint8_t zeros[INITRD_ALIGNMENT];
        off_t at = lseek(fd, 0, SEEK_CUR);
        size_t n_pad = (size_t)(-at & (INITRD_ALIGNMENT - 1));
        int r = at < 0 ? -errno : fd_write_full(fd, zeros, n_pad);
        if (r == 0)
            r = append(fd, options->initrd_paths[i], error);
        if (r < 0)
            return r;
    }
    return 0;
}

/* objcopy puts a section where it is told to: behind all others. */
static int place_section(RunTool *objcopy, const char *name, const char *path, const PeFile *stub,
        uint64_t *next_address)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    uint64_t unit = MAX(stub->alignment, (uint32_t)PAGE_BYTES);
    uint64_t address = u64_div_round_up(*next_address, unit) * unit;
    if ((uint64_t)st.st_size > END_MAX || address + (uint64_t)st.st_size > END_MAX)
        return -EFBIG;
    run_tool_add(objcopy, "--add-section");
    run_tool_add(objcopy, "%s=%s", name, path);
    run_tool_add(objcopy, "--change-section-vma");
    run_tool_add(objcopy, "%s=%#" PRIx64, name, stub->base + address);
    *next_address = address + (uint64_t)st.st_size;
    return 0;
}

static int run_objcopy(
        const UkiOptions *options, const PeFile *stub, const Scratch *scratch, ErrorText *error)
{
    /* The kernel last: it may want room behind it. */
    const struct {
        const char *name, *path;
    } sections[] = {
            {".osrel", scratch->paths[FILE_OSREL]},
            {".cmdline", scratch->paths[FILE_CMDLINE]},
            {".initrd", options->n_initrds > 0 ? scratch->paths[FILE_INITRD] : NULL},
            {".linux", options->linux_path},
    };
    _cleanup_(run_tool_done) RunTool objcopy = {0};
    uint64_t next_address = pe_file_end(stub);
    run_tool_add(&objcopy, "objcopy");
    run_tool_add(&objcopy, "--preserve-dates"); /* the stub's, not today's */
    for (size_t i = 0; i < ELEMENTS(sections); i++) {
        const char *path = sections[i].path;
        int r = path ? place_section(&objcopy, sections[i].name, path, stub, &next_address) : 0;
        if (r < 0)
            return error_say(error, r, "%s: %s", path, strerror(-r));
    }
    run_tool_add(&objcopy, "%s", options->stub_path);
    run_tool_add(&objcopy, "%s", scratch->paths[FILE_UKI]);
    return run_tool(&objcopy, error);
}

static int run_ukify(const UkiOptions *options, const Scratch *scratch, ErrorText *error)
{
    _cleanup_(run_tool_done) RunTool ukify = {0};
    run_tool_add(&ukify, "ukify");
    run_tool_add(&ukify, "build");
    run_tool_add(&ukify, "--stub=%s", options->stub_path);
    run_tool_add(&ukify, "--linux=%s", options->linux_path);
    if (options->n_initrds > 0)
        run_tool_add(&ukify, "--initrd=%s", scratch->paths[FILE_INITRD]);
    run_tool_add(&ukify, "--cmdline=@%s", scratch->paths[FILE_CMDLINE]);
    run_tool_add(&ukify, "--os-release=@%s", scratch->paths[FILE_OSREL]);
    run_tool_add(&ukify, "--output=%s", scratch->paths[FILE_UKI]);
    return run_tool(&ukify, error);
}

static int sign(const UkiOptions *options, const Scratch *scratch, ErrorText *error)
{
    _cleanup_(run_tool_done) RunTool sbsign = {0};
    run_tool_add(&sbsign, "sbsign");
    run_tool_add(&sbsign, "--key");
    run_tool_add(&sbsign, "%s", options->key_path);
    run_tool_add(&sbsign, "--cert");
    run_tool_add(&sbsign, "%s", options->certificate_path);
    run_tool_add(&sbsign, "--output");
    run_tool_add(&sbsign, "%s", scratch->paths[FILE_SIGNED]);
    run_tool_add(&sbsign, "%s", scratch->paths[FILE_UKI]);
    return run_tool(&sbsign, error);
}

/* The tools' words are not taken for it. */
static int check_made(int fd, const char *cmdline, ErrorText *error)
{
    PeFile file;
    ErrorText reason;
    char text[UKI_CMDLINE_MAX + 1] = "";
    int r = pe_file_read(fd, &file, &reason);
    if (r < 0)
        return error_say(error, r, "the kernel image that was made %s", reason.line);
    const PeSection *section = pe_file_section(&file, ".cmdline");
    size_t n = strlen(cmdline);
    if (!section || !pe_file_section(&file, ".linux"))
        return error_say(error, -EBADMSG, "the kernel image that was made has no kernel in it");
    bool is_whole = section->file_bytes >= n && section->size_bytes >= n;
    r = is_whole ? fd_pread_full(fd, text, n, section->file_offset) : 0;
    if (r < 0)
        return r;
    if (!is_whole || memcmp(text, cmdline, n) != 0)
        return error_say(
                error, -EBADMSG, "the kernel image that was made has another command line");
    return 0;
}

static int make(const UkiOptions *options, const PeFile *stub, const Scratch *scratch,
        const char *cmdline, ErrorText *error)
{
    int r = write_osrel(options, scratch->paths[FILE_OSREL]);
    if (r == 0)
        r = write_text(scratch->paths[FILE_CMDLINE], cmdline);
    if (r < 0)
        return error_say(error, r, "%s cannot be written: %s", scratch->folder, strerror(-r));
    if (options->n_initrds > 0)
        r = join_initrds(options, scratch->paths[FILE_INITRD], error);
    if (r < 0)
        return r;
    if (run_tool_exists("ukify"))
        r = run_ukify(options, scratch, error);
    else if (run_tool_exists("objcopy"))
        r = run_objcopy(options, stub, scratch, error);
    else
        r = error_say(error, -ENOENT,
                "a kernel image is made with ukify or objcopy, and neither is installed");
    return r == 0 && options->key_path ? sign(options, scratch, error) : r;
}

int uki_make(const UkiOptions *options, const char *cmdline, int *ret_fd, ErrorText *error)
{
    PeFile stub;
    if (strlen(cmdline) > UKI_CMDLINE_MAX)
        return error_say(error, -EINVAL,
                "the command line has %zu characters, and a kernel takes %d", strlen(cmdline),
                UKI_CMDLINE_MAX);
    int r = check_programs(options, &stub, error);
    if (r < 0)
        return r;
    _cleanup_(scratch_done) Scratch scratch = {0};
    r = scratch_init(&scratch, error);
    if (r == 0)
        r = make(options, &stub, &scratch, cmdline, error);
    if (r < 0)
        return r;
    _cleanup_close_ int fd =
            open_input(scratch.paths[options->key_path ? FILE_SIGNED : FILE_UKI], error);
    if (fd < 0)
        return fd;
    r = check_made(fd, cmdline, error);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
