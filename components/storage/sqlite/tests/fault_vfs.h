#pragma once
// A disk that fails, for SQLite: files are real ones, reached through the default VFS, and for each of them
// what was not yet synced is remembered. At a power cut every such write, truncation, creation and removal is
// kept, dropped, or kept in part, at random; what has an open handle then only gets errors. Space may run
// out, and calls may fail.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace rusternetes::storage::testing {

class FaultVfs {
 public:
  FaultVfs();
  // Every store opened through it must be gone, and their folder still there.
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  std::string name() const { return name_; }

  // The power goes at the n-th write, truncation, sync or removal from now (1: the next one).
  void cut_after(long operations, unsigned seed);
  bool is_cut() const { return is_cut_; }
  // Gives the files what a disk may be left with, and the power back. The store must be closed by then.
  void power_cut(std::mt19937& random);

  void set_space(std::optional<std::int64_t> bytes);
  // Each call that `cut_after` counts fails with this probability. What a failed sync left is not written by
  // later ones.
  void set_failures(double share, unsigned seed);
  long operations() const { return operations_; }

  struct Vfs;  // the C side
  struct File;

 private:
  enum class Fate { pending, durable, lost };
  struct Change {
    std::int64_t offset = 0;  // of a truncation: the new length
    bool is_truncation = false;
    std::int64_t old_size = 0;
    std::string old_bytes, new_bytes;
    Fate fate = Fate::pending;
  };
  struct Inode {
    int fd = -1;
    std::vector<Change> changes;
    ~Inode();
  };
  // What a path leads to, on disk and now.
  struct Name {
    std::shared_ptr<Inode> durable, now;
  };
  enum class Call { write, truncate, sync, remove };
  enum class Outcome { goes_on, fails, is_last, is_off };

  Outcome next(Call call);
  std::shared_ptr<Inode> open(const std::string& path, bool existed);
  void record(Inode& inode, std::int64_t offset, const void* bytes, std::int64_t count, bool is_truncation);
  void synced(Inode& inode);
  void folder_synced();
  void replay(Inode& inode, std::mt19937& random);
  void replay_write(Inode& inode, const Change& change, std::mt19937& random);

  std::string name_;
  std::unique_ptr<Vfs> vfs_;
  std::recursive_mutex mutex_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::weak_ptr<Inode>> inodes_;
  std::vector<std::shared_ptr<Inode>>
      kept_;  // our descriptors stay open: closing one ends SQLite's locks on its file
  std::map<std::string, Name> names_;
  std::string last_main_file_;
  std::atomic<bool> is_cut_{false};
  std::atomic<long> operations_{0};
  long cut_at_ = 0;
  std::optional<std::int64_t> space_;
  double failures_ = 0;
  std::mt19937 random_;
};

}  // namespace rusternetes::storage::testing
