#include "fault_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace rusternetes::storage::testing {

struct FaultVfs::Vfs {
  sqlite3_vfs base{};
  sqlite3_vfs* inner = nullptr;
  FaultVfs* owner = nullptr;
};

// SQLite allocates it, with room for the default VFS's own file behind it.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* owner;
  std::shared_ptr<Inode>* inode;  // null: not followed
  bool syncs_folder;
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }

  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static int close(sqlite3_file* f);
  static int read(sqlite3_file* f, void* into, int count, sqlite3_int64 offset);
  static int write(sqlite3_file* f, const void* from, int count, sqlite3_int64 offset);
  static int truncate(sqlite3_file* f, sqlite3_int64 size);
  static int sync(sqlite3_file* f, int flags);
  static int shm_unmap(sqlite3_file* f, int remove);
  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* f, int flags, int* out_flags);
  static int remove(sqlite3_vfs* vfs, const char* path, int syncs_folder);
};

FaultVfs::Inode::~Inode() {
  if (fd >= 0) ::close(fd);
}

int FaultVfs::File::close(sqlite3_file* f) {
  File& file = of(f);
  const int code = file.inner()->pMethods ? file.inner()->pMethods->xClose(file.inner()) : SQLITE_OK;
  delete file.inode;
  file.inode = nullptr;
  return code;
}

int FaultVfs::File::read(sqlite3_file* f, void* into, int count, sqlite3_int64 offset) {
  if (of(f).owner->is_cut()) return SQLITE_IOERR_READ;
  return of(f).inner()->pMethods->xRead(of(f).inner(), into, count, offset);
}

int FaultVfs::File::write(sqlite3_file* f, const void* from, int count, sqlite3_int64 offset) {
  File& file = of(f);
  FaultVfs& owner = *file.owner;
  std::lock_guard lock(owner.mutex_);
  const Outcome outcome = owner.next(Call::write);
  if (outcome == Outcome::is_off) return SQLITE_IOERR_WRITE;
  int taken = count;
  bool is_full = false;
  if (outcome == Outcome::fails) taken = static_cast<int>(owner.random_() % static_cast<unsigned>(count + 1));
  sqlite3_int64 size = 0;
  file.inner()->pMethods->xFileSize(file.inner(), &size);
  if (owner.space_ && offset + taken - size > *owner.space_) {
    is_full = true;
    taken = static_cast<int>(std::clamp<sqlite3_int64>(size + *owner.space_ - offset, 0, taken));
  }
  if (taken > 0) {
    if (file.inode) owner.record(**file.inode, offset, from, taken, false);
    const int code = file.inner()->pMethods->xWrite(file.inner(), from, taken, offset);
    if (code != SQLITE_OK) return code;
    if (owner.space_) *owner.space_ -= std::max<sqlite3_int64>(0, offset + taken - size);
  }
  if (is_full) return SQLITE_FULL;
  return outcome == Outcome::goes_on ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int FaultVfs::File::truncate(sqlite3_file* f, sqlite3_int64 size) {
  File& file = of(f);
  FaultVfs& owner = *file.owner;
  std::lock_guard lock(owner.mutex_);
  const Outcome outcome = owner.next(Call::truncate);
  if (outcome == Outcome::is_off || outcome == Outcome::fails) return SQLITE_IOERR_TRUNCATE;
  sqlite3_int64 old = 0;
  file.inner()->pMethods->xFileSize(file.inner(), &old);
  if (file.inode) owner.record(**file.inode, size, nullptr, 0, true);
  const int code = file.inner()->pMethods->xTruncate(file.inner(), size);
  if (owner.space_) *owner.space_ += std::max<sqlite3_int64>(0, old - size);
  return outcome == Outcome::goes_on ? code : SQLITE_IOERR_TRUNCATE;
}

int FaultVfs::File::sync(sqlite3_file* f, int) {
  File& file = of(f);
  FaultVfs& owner = *file.owner;
  std::lock_guard lock(owner.mutex_);
  const Outcome outcome = owner.next(Call::sync);
  // A sync that the power cut may have done its work, without anybody hearing of it.
  const bool is_done =
      outcome == Outcome::goes_on || (outcome == Outcome::is_last && owner.random_() % 3 == 0);
  if (is_done) {
    if (file.inode) owner.synced(**file.inode);
    if (file.syncs_folder) owner.folder_synced();
    file.syncs_folder = false;
  } else if (outcome == Outcome::fails && file.inode) {
    for (Change& change : (*file.inode)->changes)
      if (change.fate == Fate::pending) change.fate = Fate::lost;
  }
  return outcome == Outcome::goes_on ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int FaultVfs::File::shm_unmap(sqlite3_file* f, int remove) {
  // A process that lost its power removes nothing.
  return of(f).inner()->pMethods->xShmUnmap(of(f).inner(), of(f).owner->is_cut() ? 0 : remove);
}

int FaultVfs::File::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* f, int flags, int* out_flags) {
  FaultVfs& owner = *static_cast<FaultVfs*>(vfs->pAppData);
  File& file = of(f);
  std::memset(&file, 0, sizeof file);
  file.owner = &owner;
  std::lock_guard lock(owner.mutex_);
  if (owner.is_cut()) return SQLITE_CANTOPEN;
  struct stat info {};
  const bool existed = path && ::stat(path, &info) == 0;
  sqlite3_vfs* inner = owner.vfs_->inner;
  const int code = inner->xOpen(inner, path, file.inner(), flags, out_flags);
  if (code != SQLITE_OK) return code;
  constexpr int followed = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL;
  if (path && (flags & followed)) {
    file.inode = new std::shared_ptr<Inode>(owner.open(path, existed));
    file.syncs_folder =
        (flags & SQLITE_OPEN_CREATE) && !(flags & SQLITE_OPEN_MAIN_DB);  // as the default VFS does
    if (flags & SQLITE_OPEN_MAIN_DB) owner.last_main_file_ = path;
  }
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods m{};
    m.iVersion = 2;  // no memory-mapped reads: they would still come from a disk without power
    m.xClose = close;
    m.xRead = read;
    m.xWrite = write;
    m.xTruncate = truncate;
    m.xSync = sync;
    m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
      return of(f).inner()->pMethods->xFileSize(of(f).inner(), size);
    };
    m.xLock = [](sqlite3_file* f, int level) { return of(f).inner()->pMethods->xLock(of(f).inner(), level); };
    m.xUnlock = [](sqlite3_file* f, int level) {
      return of(f).inner()->pMethods->xUnlock(of(f).inner(), level);
    };
    m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
      return of(f).inner()->pMethods->xCheckReservedLock(of(f).inner(), out);
    };
    m.xFileControl = [](sqlite3_file* f, int op, void* arg) {
      return of(f).inner()->pMethods->xFileControl(of(f).inner(), op, arg);
    };
    m.xSectorSize = [](sqlite3_file* f) { return of(f).inner()->pMethods->xSectorSize(of(f).inner()); };
    m.xDeviceCharacteristics = [](sqlite3_file* f) {
      return of(f).inner()->pMethods->xDeviceCharacteristics(of(f).inner());
    };
    m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return of(f).inner()->pMethods->xShmMap(of(f).inner(), page, size, extend, out);
    };
    m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
      return of(f).inner()->pMethods->xShmLock(of(f).inner(), offset, n, flags);
    };
    m.xShmBarrier = [](sqlite3_file* f) { of(f).inner()->pMethods->xShmBarrier(of(f).inner()); };
    m.xShmUnmap = shm_unmap;
    return m;
  }();
  file.base.pMethods = &methods;
  return SQLITE_OK;
}

int FaultVfs::File::remove(sqlite3_vfs* vfs, const char* path, int syncs_folder) {
  FaultVfs& owner = *static_cast<FaultVfs*>(vfs->pAppData);
  std::lock_guard lock(owner.mutex_);
  const Outcome outcome = owner.next(Call::remove);
  if (outcome == Outcome::is_off || outcome == Outcome::fails) return SQLITE_IOERR_DELETE;
  struct stat info {};
  if (::stat(path, &info) == 0) {
    owner.open(path, true);
    if (owner.space_) *owner.space_ += info.st_size;
  }
  const int code = owner.vfs_->inner->xDelete(owner.vfs_->inner, path, 0);
  if (auto it = owner.names_.find(path); it != owner.names_.end()) it->second.now = nullptr;
  if (outcome != Outcome::goes_on) return SQLITE_IOERR_DELETE;
  if (syncs_folder) owner.folder_synced();
  return code;
}

FaultVfs::FaultVfs() : vfs_(std::make_unique<Vfs>()) {
  static std::atomic<int> count{0};
  name_ = "fault-" + std::to_string(++count);
  vfs_->inner = sqlite3_vfs_find(nullptr);
  vfs_->owner = this;
  vfs_->base = *vfs_->inner;
  vfs_->base.pNext = nullptr;
  vfs_->base.zName = name_.c_str();
  vfs_->base.szOsFile = static_cast<int>(sizeof(File)) + vfs_->inner->szOsFile;
  vfs_->base.pAppData = this;
  vfs_->base.xOpen = File::open;
  vfs_->base.xDelete = File::remove;
  vfs_->base.xAccess = [](sqlite3_vfs*, const char* path, int flags, int* out) {
    sqlite3_vfs* inner = sqlite3_vfs_find(nullptr);
    return inner->xAccess(inner, path, flags, out);
  };
  vfs_->base.xFullPathname = [](sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_vfs* inner = sqlite3_vfs_find(nullptr);
    return inner->xFullPathname(inner, path, size, out);
  };
  sqlite3_vfs_register(&vfs_->base, 0);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&vfs_->base); }

void FaultVfs::cut_after(long operations, unsigned seed) {
  std::lock_guard lock(mutex_);
  cut_at_ = operations_ + operations;
  random_.seed(seed);
}

void FaultVfs::set_space(std::optional<std::int64_t> bytes) {
  std::lock_guard lock(mutex_);
  space_ = bytes;
}

void FaultVfs::set_failures(double share, unsigned seed) {
  std::lock_guard lock(mutex_);
  failures_ = share;
  random_.seed(seed);
}

FaultVfs::Outcome FaultVfs::next(Call) {
  if (is_cut_) return Outcome::is_off;
  const long number = ++operations_;
  if (cut_at_ && number >= cut_at_) {
    is_cut_ = true;
    return Outcome::is_last;
  }
  if (failures_ > 0 && std::uniform_real_distribution<>(0, 1)(random_) < failures_) return Outcome::fails;
  return Outcome::goes_on;
}

std::shared_ptr<FaultVfs::Inode> FaultVfs::open(const std::string& path, bool existed) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return std::make_shared<Inode>();
  auto& known = inodes_[{info.st_dev, info.st_ino}];
  auto inode = known.lock();
  if (!inode) {
    inode = std::make_shared<Inode>();
    inode->fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    known = inode;
    kept_.push_back(inode);
  }
  auto [name, is_new] = names_.try_emplace(path);
  if (is_new && existed) name->second.durable = inode;  // from before we looked
  name->second.now = inode;
  return inode;
}

void FaultVfs::record(Inode& inode, std::int64_t offset, const void* bytes, std::int64_t count,
                      bool is_truncation) {
  Change change;
  struct stat info {};
  if (inode.fd < 0 || ::fstat(inode.fd, &info) != 0) return;
  change.offset = offset;
  change.is_truncation = is_truncation;
  change.old_size = info.st_size;
  const std::int64_t old =
      is_truncation ? info.st_size - offset : std::min<std::int64_t>(count, info.st_size - offset);
  if (old > 0) {
    change.old_bytes.resize(static_cast<std::size_t>(old));
    if (::pread(inode.fd, change.old_bytes.data(), change.old_bytes.size(), offset) != old) return;
  }
  if (!is_truncation)
    change.new_bytes.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
  inode.changes.push_back(std::move(change));
}

void FaultVfs::synced(Inode& inode) {
  bool has_lost = false;
  for (Change& change : inode.changes) {
    if (change.fate == Fate::pending) change.fate = Fate::durable;
    has_lost |= change.fate == Fate::lost;
  }
  if (!has_lost || inode.changes.size() > 5000) inode.changes.clear();
}

void FaultVfs::folder_synced() {
  for (auto& [path, name] : names_) name.durable = name.now;
}

void FaultVfs::replay_write(Inode& inode, const Change& change, std::mt19937& random) {
  auto keep = [&](std::size_t from, std::size_t count) {
    if (::pwrite(inode.fd, change.new_bytes.data() + from, count, change.offset + static_cast<off_t>(from)) <
        0)
      std::abort();
  };
  const std::size_t size = change.new_bytes.size();
  if (change.fate == Fate::durable) return keep(0, size);
  switch (random() % 5) {
    case 0:
      return;
    case 1:
    case 2:
      return keep(0, size);
    case 3:
      return keep(0, random() % (size + 1));  // torn at any byte
    default:                                  // some sectors, in any order
      for (std::size_t at = 0; at < size;) {
        const std::size_t in_sector =
            512 - static_cast<std::size_t>(change.offset + static_cast<std::int64_t>(at)) % 512;
        const std::size_t count = std::min(in_sector, size - at);
        if (random() % 2) keep(at, count);
        at += count;
      }
  }
}

// Takes back everything that was not synced, then does some of it again.
void FaultVfs::replay(Inode& inode, std::mt19937& random) {
  for (auto change = inode.changes.rbegin(); change != inode.changes.rend(); ++change) {
    if (!change->old_bytes.empty() &&
        ::pwrite(inode.fd, change->old_bytes.data(), change->old_bytes.size(), change->offset) < 0)
      std::abort();
    if (::ftruncate(inode.fd, change->old_size) != 0) std::abort();
  }
  const unsigned mood = random() % 6;  // now and then all or nothing
  for (const Change& change : inode.changes) {
    if (change.fate != Fate::durable && mood == 0) continue;
    if (!change.is_truncation) {
      if (mood == 1) {
        Change whole = change;
        whole.fate = Fate::durable;
        replay_write(inode, whole, random);
      } else {
        replay_write(inode, change, random);
      }
    } else if (change.fate == Fate::durable || mood == 1 || random() % 2) {
      if (::ftruncate(inode.fd, change.offset) != 0) std::abort();
    }
  }
  inode.changes.clear();
}

void FaultVfs::power_cut(std::mt19937& random) {
  std::lock_guard lock(mutex_);
  for (auto& inode : kept_) replay(*inode, random);
  for (auto& [path, name] : names_) {
    struct stat info {};
    const bool exists = ::stat(path.c_str(), &info) == 0;
    const auto real = exists ? inodes_[{info.st_dev, info.st_ino}].lock() : nullptr;
    // Renamed by the store itself, which syncs the folder: that holds.
    if (real != name.now || name.now == name.durable || random() % 2) continue;
    if (!name.durable) {
      ::unlink(path.c_str());
      continue;
    }
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    std::string bytes(65536, '\0');
    ssize_t got = 0;
    for (off_t at = 0; (got = ::pread(name.durable->fd, bytes.data(), bytes.size(), at)) > 0; at += got)
      if (::write(fd, bytes.data(), static_cast<std::size_t>(got)) != got) std::abort();
    ::close(fd);
  }
  // The index of the log is memory that happens to be a file: anything may be in it.
  const std::string index = last_main_file_ + "-shm";
  struct stat info {};
  if (::stat(index.c_str(), &info) == 0 && random() % 3) {
    ::unlink(index.c_str());
    if (random() % 2) {
      std::string garbage(static_cast<std::size_t>(info.st_size), '\0');
      for (char& c : garbage) c = static_cast<char>(random());
      const int fd = ::open(index.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
      if (::write(fd, garbage.data(), garbage.size()) < 0) std::abort();
      ::close(fd);
    }
  }
  names_.clear();
  inodes_.clear();
  kept_.clear();
  cut_at_ = 0;
  failures_ = 0;
  space_.reset();
  is_cut_ = false;
}

}  // namespace rusternetes::storage::testing
