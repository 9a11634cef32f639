// Counts the calls of the allocator in the whole process; loaded with LD_PRELOAD.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static unsigned long long count;
unsigned long long allocations(void) { return __atomic_load_n(&count, __ATOMIC_SEQ_CST); }

// dlsym itself may allocate memory while it looks up the real functions.
static char bootstrap[65536];
static size_t used;
static int inside(const void* p) { return (const char*)p >= bootstrap && (const char*)p < bootstrap + sizeof bootstrap; }
static void* from_bootstrap(size_t size) {
  void* const p = bootstrap + used;
  used += (size + 63) / 64 * 64;
  return used <= sizeof bootstrap ? p : NULL;
}

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void*, size_t);
static void *(*real_aligned)(size_t, size_t), *(*real_memalign)(size_t, size_t);
static int (*real_posix)(void**, size_t, size_t);
static void (*real_free)(void*);
static int looking_up;

static int ready(void) {
  if (real_free != NULL) return 1;
  if (looking_up) return 0;
  looking_up = 1;
  *(void**)&real_malloc = dlsym(RTLD_NEXT, "malloc");
  *(void**)&real_calloc = dlsym(RTLD_NEXT, "calloc");
  *(void**)&real_realloc = dlsym(RTLD_NEXT, "realloc");
  *(void**)&real_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
  *(void**)&real_memalign = dlsym(RTLD_NEXT, "memalign");
  *(void**)&real_posix = dlsym(RTLD_NEXT, "posix_memalign");
  *(void**)&real_free = dlsym(RTLD_NEXT, "free");
  looking_up = 0;
  return 1;
}
static void count_call(void) { __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST); }

void* malloc(size_t size) {
  count_call();
  return ready() ? real_malloc(size) : from_bootstrap(size);
}
void* calloc(size_t n, size_t size) {
  count_call();
  return ready() ? real_calloc(n, size) : from_bootstrap(n * size);
}
void* realloc(void* p, size_t size) {
  count_call();
  if (!inside(p)) return ready() ? real_realloc(p, size) : from_bootstrap(size);
  void* const larger = malloc(size);
  if (larger != NULL) memcpy(larger, p, size);
  return larger;
}
void* aligned_alloc(size_t alignment, size_t size) {
  count_call();
  return ready() ? real_aligned(alignment, size) : NULL;
}
void* memalign(size_t alignment, size_t size) {
  count_call();
  return ready() ? real_memalign(alignment, size) : NULL;
}
int posix_memalign(void** p, size_t alignment, size_t size) {
  count_call();
  return ready() ? real_posix(p, alignment, size) : 12;
}
void free(void* p) {
  if (!inside(p) && ready()) real_free(p);
}
