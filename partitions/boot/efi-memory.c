/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot/efi-memory.h"

#include <stdlib.h>
#include <string.h>

/* malloc has no argument for it. */
static EfiBootServices *services;

void efi_memory_begin(EfiBootServices *boot_services)
{
    services = boot_services;
}

void *malloc(size_t n_bytes)
{
    void *memory;
    return services->allocate_pool(EFI_LOADER_DATA, n_bytes > 0 ? n_bytes : 1, &memory) ==
                           EFI_SUCCESS
                   ? memory
                   : NULL;
}

void *calloc(size_t n, size_t n_bytes)
{
    size_t n_total;
    if (__builtin_mul_overflow(n, n_bytes, &n_total))
        return NULL;
    void *memory = malloc(n_total);
    return memory ? memset(memory, 0, n_total) : NULL;
}

void free(void *memory)
{
    if (memory)
        services->free_pool(memory);
}
