/*
 * Preloaded into a broker (LD_PRELOAD): writes down every call that changes the folder TRACED_FOLDER,
 * in the order in which the calls were done, so that it can be told afterwards what a disk could
 * hold if the power had failed at any of these calls (replay.ts). TRACE_FILE is where it is written.
 *
 *   entry: length u32, kind u8, handle u64, position u64, payload; in the byte order of the machine
 *
 * A call is written down when it has succeeded, a sync also when it begins: what is written while
 * it runs is not covered by it. BOOT_ID_FILE, when set, is read in place of the system's boot id:
 * a machine that lost its power comes up with another one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CREATE, WRITE, TRUNCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYNC_BEGIN, SYNC_END };

#define MOST_DESCRIPTORS 65536
#define MOST_BUFFERS 1100

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t handles[MOST_DESCRIPTORS];
static uint64_t last_handle;
static int trace = -1;
static const char *folder;
static const char *boot_id_file;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static long (*real_syscall)(long, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_rename)(const char *, const char *);
static int (*real_link)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rmdir)(const char *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void begin(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_close = dlsym(RTLD_NEXT, "close");
  real_syscall = dlsym(RTLD_NEXT, "syscall");
  real_write = dlsym(RTLD_NEXT, "write");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_link = dlsym(RTLD_NEXT, "link");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_mkdir = dlsym(RTLD_NEXT, "mkdir");
  real_rmdir = dlsym(RTLD_NEXT, "rmdir");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  folder = getenv("TRACED_FOLDER");
  boot_id_file = getenv("BOOT_ID_FILE");
  const char *file = getenv("TRACE_FILE");
  if (folder == NULL || file == NULL) return;
  trace = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (trace < 0) {
    perror(file);
    abort();
  }
}

static int is_traced(const char *path) {
  pthread_once(&once, begin);
  if (trace < 0) return 0;
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static uint64_t handle_of(int fd) {
  pthread_once(&once, begin);
  if (trace < 0 || fd < 0 || fd >= MOST_DESCRIPTORS) return 0;
  return __atomic_load_n(&handles[fd], __ATOMIC_SEQ_CST);
}

/* Writes an entry whole, or ends the process: a trace with a hole would prove nothing. */
static void note(uint8_t kind, uint64_t handle, uint64_t position, const struct iovec *parts,
                 int count, size_t most) {
  struct iovec all[MOST_BUFFERS + 1];
  uint8_t head[21];
  size_t left = most;
  int used = 1;
  for (int i = 0; i < count && left > 0; i++, used++) {
    if (used > MOST_BUFFERS) abort();
    all[used] = parts[i];
    if (all[used].iov_len > left) all[used].iov_len = left;
    left -= all[used].iov_len;
  }
  uint32_t length = sizeof(head) - 4 + (most - left);
  memcpy(head, &length, 4);
  head[4] = kind;
  memcpy(head + 5, &handle, 8);
  memcpy(head + 13, &position, 8);
  all[0] = (struct iovec){head, sizeof(head)};
  int kept = errno;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < used; i++) {
    const uint8_t *at = all[i].iov_base;
    for (size_t rest = all[i].iov_len; rest > 0;) {
      ssize_t done = real_write(trace, at, rest);
      if (done <= 0) abort();
      at += done;
      rest -= done;
    }
  }
  pthread_mutex_unlock(&lock);
  errno = kept;
}

static void note_paths(uint8_t kind, uint64_t handle, const char *a, const char *b) {
  struct iovec parts[2] = {{(void *)a, strlen(a) + 1}, {(void *)b, b == NULL ? 0 : strlen(b) + 1}};
  note(kind, handle, 0, parts, b == NULL ? 1 : 2, parts[0].iov_len + parts[1].iov_len);
}

static int open_noted(const char *path, int flags, mode_t mode) {
  if (boot_id_file != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
    return real_open(boot_id_file, flags, mode);
  }
  int traced = is_traced(path);
  int is_new = traced && (flags & O_CREAT) && access(path, F_OK) != 0;
  int fd = real_open(path, flags, mode);
  if (fd < 0 || fd >= MOST_DESCRIPTORS || !traced) return fd;
  uint64_t handle = __atomic_add_fetch(&last_handle, 1, __ATOMIC_SEQ_CST);
  __atomic_store_n(&handles[fd], handle, __ATOMIC_SEQ_CST);
  note_paths(is_new ? CREATE : OPEN, handle, path, NULL);
  if (!is_new && (flags & O_TRUNC)) note(TRUNCATE, handle, 0, NULL, 0, 0);
  return fd;
}

int open64(const char *path, int flags, ...) {
  pthread_once(&once, begin);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_noted(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  pthread_once(&once, begin);
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return open_noted(path, flags, mode);
}

int close(int fd) {
  if (handle_of(fd) != 0) __atomic_store_n(&handles[fd], 0, __ATOMIC_SEQ_CST);
  return real_close(fd);
}

/* Node closes files so; a descriptor that is used again must not be taken for its old file. */
long syscall(long number, ...) {
  pthread_once(&once, begin);
  va_list rest;
  long values[6];
  va_start(rest, number);
  for (int i = 0; i < 6; i++) values[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_close && handle_of((int)values[0]) != 0) {
    __atomic_store_n(&handles[values[0]], 0, __ATOMIC_SEQ_CST);
  }
  return real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t position) {
  uint64_t handle = handle_of(fd);
  ssize_t done = real_pwritev(fd, parts, count, position);
  if (handle != 0 && done > 0) note(WRITE, handle, position, parts, count, done);
  return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t position) {
  uint64_t handle = handle_of(fd);
  ssize_t done = real_pwrite(fd, bytes, length, position);
  struct iovec part = {(void *)bytes, length};
  if (handle != 0 && done > 0) note(WRITE, handle, position, &part, 1, done);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  uint64_t handle = handle_of(fd);
  off_t position = handle == 0 ? 0 : lseek(fd, 0, SEEK_CUR);
  ssize_t done = real_writev(fd, parts, count);
  if (handle != 0 && done > 0) note(WRITE, handle, position, parts, count, done);
  return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  uint64_t handle = handle_of(fd);
  off_t position = handle == 0 ? 0 : lseek(fd, 0, SEEK_CUR);
  ssize_t done = real_write(fd, bytes, length);
  struct iovec part = {(void *)bytes, length};
  if (handle != 0 && done > 0) note(WRITE, handle, position, &part, 1, done);
  return done;
}

int ftruncate64(int fd, off64_t size) {
  uint64_t handle = handle_of(fd);
  int failed = real_ftruncate(fd, size);
  if (handle != 0 && !failed) note(TRUNCATE, handle, size, NULL, 0, 0);
  return failed;
}

int rename(const char *from, const char *to) {
  int traced = is_traced(from);
  int failed = real_rename(from, to);
  if (traced && !failed) note_paths(RENAME, 0, from, to);
  return failed;
}

int link(const char *from, const char *to) {
  int traced = is_traced(from);
  int failed = real_link(from, to);
  if (traced && !failed) note_paths(LINK, 0, from, to);
  return failed;
}

int unlink(const char *path) {
  int traced = is_traced(path);
  int failed = real_unlink(path);
  if (traced && !failed) note_paths(UNLINK, 0, path, NULL);
  return failed;
}

int mkdir(const char *path, mode_t mode) {
  int traced = is_traced(path);
  int failed = real_mkdir(path, mode);
  if (traced && !failed) note_paths(MKDIR, 0, path, NULL);
  return failed;
}

int rmdir(const char *path) {
  int traced = is_traced(path);
  int failed = real_rmdir(path);
  if (traced && !failed) note_paths(RMDIR, 0, path, NULL);
  return failed;
}

static int sync_noted(int fd, int (*real)(int)) {
  uint64_t handle = handle_of(fd);
  if (handle == 0) return real(fd);
  uint64_t number = __atomic_add_fetch(&last_handle, 1, __ATOMIC_SEQ_CST);
  note(SYNC_BEGIN, handle, number, NULL, 0, 0);
  int failed = real(fd);
  if (!failed) note(SYNC_END, handle, number, NULL, 0, 0);
  return failed;
}

int fsync(int fd) {
  pthread_once(&once, begin);
  return sync_noted(fd, real_fsync);
}

int fdatasync(int fd) {
  pthread_once(&once, begin);
  return sync_noted(fd, real_fdatasync);
}
