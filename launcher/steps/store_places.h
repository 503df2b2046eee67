#pragma once
// Where a copy of a store has to lie so that a cluster's own store starts on it: the file of SQLite, or the
// data folder of each member of etcd.

#include <filesystem>
#include <string>
#include <vector>

#include "launcher/steps/steps.h"

namespace rusternetes::launcher {

// A store of SQLite is a file and, when its process was killed, the log beside it.
inline constexpr const char* store_suffixes[] = {"-wal", "-shm", ""};

struct StorePlace {
  std::filesystem::path fresh, target;
};
// Of the mode that the settings have. `staged`: the folder with the copy, and what is made of it.
std::vector<StorePlace> store_places(const StepContext& context, const std::filesystem::path& staged);

// Makes them, of the copy `staged`/store.db. `token` tells this etcd cluster from those before it.
Result<> make_store_places(StepContext& context, const std::filesystem::path& staged,
                           const std::string& token);

bool is_there(const std::filesystem::path& path);
// Within one file system; on disk when it returns.
Result<> move_path(const std::filesystem::path& from, const std::filesystem::path& to);
// No error if it is not there.
Result<> remove_tree(const std::filesystem::path& path);

}  // namespace rusternetes::launcher
