/* A disk that is full after so many writes to files under one folder. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char under[4096];
static long left = -1;
static int failed = 0;

/* From now on: `writes` succeed under `folder`, the later ones fail; -1 lets all succeed. */
void arm(long writes, const char *folder) {
  strncpy(under, folder, sizeof under - 1);
  failed = 0;
  left = writes;
}

/* Whether any write has failed since. */
int has_failed(void) { return failed; }

static int full(int fd) {
  char link[64], path[4096];
  if (left < 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  if (strncmp(path, under, strlen(under)) != 0) return 0;
  if (left > 0) {
    left--;
    return 0;
  }
  failed = 1;
  errno = ENOSPC;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
  return full(fd) ? -1 : REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
  return full(fd) ? -1 : REAL(pwrite)(fd, data, size, place);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
  return full(fd) ? -1 : REAL(pwrite64)(fd, data, size, place);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return full(fd) ? -1 : REAL(writev)(fd, parts, count);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
  return full(fileno(file)) ? 0 : REAL(fwrite)(data, size, count, file);
}
