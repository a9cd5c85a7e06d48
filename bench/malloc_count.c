/* SPDX-License-Identifier: MIT */
/*
 * A counting malloc for LD_PRELOAD. It forwards to glibc's own allocator and counts what is alive
 * (in usable bytes, so with what the allocator rounds up) and how often each function was called.
 * The counters lie in the file that MSGSRV_BENCH_MALLOC names, mapped shared, so that another
 * process reads them while the program runs; nothing in it is stopped or signalled. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x636f756e746d616cull /* the file's first 8 bytes: the counters are valid */

/* The file's layout: 8 bytes each, in the machine's order. */
struct counters {
    _Atomic uint64_t magic;
    _Atomic uint64_t live_bytes, live_blocks;
    _Atomic uint64_t mallocs, callocs, reallocs, frees;
};

/* glibc's allocator by the names that nobody interposes. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

/* Counts go here until the file is mapped. */
static struct counters early;
static struct counters *counters = &early;

static void add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static void *born(void *block)
{
    if (block != NULL) {
        add(&counters->live_bytes, malloc_usable_size(block));
        add(&counters->live_blocks, 1);
    }
    return block;
}

static void dies(void *block)
{
    if (block != NULL) {
        add(&counters->live_bytes, (uint64_t)0 - malloc_usable_size(block));
        add(&counters->live_blocks, (uint64_t)-1);
    }
}

void *malloc(size_t size)
{
    add(&counters->mallocs, 1);
    return born(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    add(&counters->callocs, 1);
    return born(__libc_calloc(count, size));
}

/* When it fails, the old block lives on; realloc(p, 0) frees it, and is no failure. */
void *realloc(void *old, size_t size)
{
    size_t old_size = old == NULL ? 0 : malloc_usable_size(old);
    void *block = __libc_realloc(old, size);

    add(&counters->reallocs, 1);
    if (old != NULL && (block != NULL || size == 0)) {
        add(&counters->live_bytes, (uint64_t)0 - old_size);
        add(&counters->live_blocks, (uint64_t)-1);
    }
    return born(block);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

void *memalign(size_t alignment, size_t size)
{
    add(&counters->mallocs, 1);
    return born(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *made;

    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
        return EINVAL;
    made = memalign(alignment, size);
    if (made == NULL)
        return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block)
{
    if (block != NULL)
        add(&counters->frees, 1);
    dies(block);
    __libc_free(block);
}

/* Runs before main, and before there can be a second thread, so the counts are not torn. */
__attribute__((constructor)) static void map_counters(void)
{
    const char *path = getenv("MSGSRV_BENCH_MALLOC");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct counters *mapped = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof(*mapped)) == 0)
        mapped = mmap(NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (mapped == MAP_FAILED)
        return;
    mapped->live_bytes = early.live_bytes;
    mapped->live_blocks = early.live_blocks;
    mapped->mallocs = early.mallocs;
    mapped->callocs = early.callocs;
    mapped->reallocs = early.reallocs;
    mapped->frees = early.frees;
    counters = mapped;
    mapped->magic = MAGIC;
}
