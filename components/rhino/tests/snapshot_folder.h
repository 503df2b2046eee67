#pragma once
// A folder of a test's own, the kept files, and a store that is spoken to without callbacks.

#include <memory>
#include <stdexcept>
#include <string>

#include "storage/blocking.h"
#include "storage/sqlite/sqlite_store.h"
#include "support/folder.h"

namespace rusternetes::rhino::testing {

using rusternetes::testing::Folder;
using rusternetes::testing::read_file;
using rusternetes::testing::write_file;

inline std::string kept_file(const std::string& name) {
  return std::string(RUSTERNETES_SOURCE_DIR "/components/rhino/tests/fuzz/corpus/bolt_file/") + name;
}

class TestStore {
 public:
  explicit TestStore(const std::string& path) {
    storage::sqlite::StoreOptions options;
    options.path = path;
    auto opened = storage::sqlite::SqliteStore::open(options);
    if (!opened) throw std::runtime_error(opened.error().message);
    store_ = *std::move(opened);
  }
  storage::sqlite::SqliteStore& operator*() { return *store_; }
  storage::sqlite::SqliteStore* operator->() { return store_.get(); }

  storage::Revision txn(storage::TxnRequest request) {
    return wait<storage::TxnResponse>([&](auto done) { store_->txn(std::move(request), done); }).revision;
  }
  storage::Revision put(const std::string& key, const std::string& value, storage::LeaseId lease = 0) {
    storage::TxnRequest request;
    request.success.emplace_back(put_request(key, value, lease));
    return txn(std::move(request));
  }
  storage::Revision remove(const std::string& key, const std::string& range_end = {}) {
    storage::TxnRequest request;
    request.success.emplace_back(storage::DeleteRequest{key, range_end, false});
    return txn(std::move(request));
  }
  void grant(storage::LeaseId id, std::int64_t ttl_s) {
    wait<storage::LeaseInfo>([&](auto done) { store_->lease_grant(id, ttl_s, done); });
  }
  void compact(storage::Revision revision) {
    wait<void>([&](auto done) { store_->compact(revision, std::move(done)); });
  }
  static storage::PutRequest put_request(const std::string& key, const std::string& value,
                                         storage::LeaseId lease = 0) {
    storage::PutRequest put;
    put.key = key;
    put.value = std::make_shared<const std::string>(value);
    put.lease = lease;
    return put;
  }

 private:
  template <class T, class Start>
  T wait(Start start) {
    auto result = storage::blocking_call<T>(std::move(start));
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }
  std::unique_ptr<storage::sqlite::SqliteStore> store_;
};

}  // namespace rusternetes::rhino::testing
