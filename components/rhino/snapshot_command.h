#pragma once
// `rhino snapshot ...`: between a store that no process has open, the snapshots of etcd, and servers that
// run.

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "rhino/snapshot_restore.h"

namespace rusternetes::rhino {

class SnapshotCommand {
 public:
  // Adds the words to the program's command line; lives as long as that.
  explicit SnapshotCommand(CLI::App& program);
  SnapshotCommand(const SnapshotCommand&) = delete;
  // After parsing: the exit code if one of the words was given. Prints its result, or why not.
  std::optional<int> run();

 private:
  void add_save(CLI::App& snapshot);
  void add_restore(CLI::App& snapshot);
  void add_export(CLI::App& snapshot);
  void add_import(CLI::App& snapshot);
  void add_status(CLI::App& snapshot);
  void add_get(CLI::App& snapshot);
  Result<std::string> save() const;
  Result<std::string> restore() const;
  Result<std::string> export_store() const;
  Result<std::string> import_store() const;
  Result<std::string> status() const;
  Result<std::string> get() const;

  CLI::App *save_, *restore_, *export_, *import_, *status_, *get_;
  std::string data_dir_, from_, to_, output_ = "table";
  std::vector<std::string> endpoints_{"http://127.0.0.1:2379"};
  std::string ca_file_, cert_file_, key_file_, consistency_ = "l", format_ = "etcd", save_output_ = "simple";
  std::int64_t save_bump_ = 0;
  std::int64_t bump_revision_ = 1'000'000'000;
  bool skips_hash_check_ = false, skips_wal_ = false;
  std::vector<std::string> prefixes_;
  RestoreOptions restore_options_;
};

}  // namespace rusternetes::rhino
