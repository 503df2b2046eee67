#include "storage/copy/copy_server.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "http/client.h"
#include "storage/sqlite/sqlite_store.h"

using namespace rusternetes;

namespace {
Task<> fetch(EventThread& thread, std::string socket, std::string& body, std::string& revision) {
  auto client = http::Client::create(thread.executor(), {"unix://" + socket, {}});
  if (!client) co_return;
  http::ClientRequest request;
  request.target = "/copy";
  auto response = co_await (*client)->send(std::move(request));
  if (!response) co_return;
  revision = std::string((*response)->head().headers.get("x-revision").value_or(""));
  auto text = co_await (*response)->read_all(64 << 20);
  if (text) body = *text;
}
}  // namespace

TEST_CASE("a copy of the store comes over a socket that only its owner can open, at one revision") {
  char name[] = "/tmp/rusternetes-copy-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  storage::sqlite::StoreOptions options;
  options.path = folder / "store.db";
  auto store = storage::sqlite::SqliteStore::open(options);
  REQUIRE(store);
  for (int i = 0; i < 200; ++i) {
    std::promise<void> done;
    storage::TxnRequest request;
    storage::PutRequest put;
    put.key = "k" + std::to_string(i);
    put.value = std::make_shared<const std::string>(std::string(2000, 'x'));
    request.success.emplace_back(std::move(put));
    (*store)->txn(std::move(request), [&](const Result<storage::TxnResponse>&) { done.set_value(); });
    done.get_future().get();
  }
  EventThread thread("test");
  std::string body, revision;
  {
    storage::CopyServer server(thread.executor(), folder,
                               [&](const std::string& path) { return (*store)->copy_to(path); });
    REQUIRE(server.start(folder / "store.sock"));
    struct stat info {};
    REQUIRE(::stat((folder / "store.sock").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    run_blocking(thread.executor(), fetch(thread, folder / "store.sock", body, revision));
    run_blocking(thread.executor(), server.stop());
  }
  CHECK(revision == std::to_string((*store)->current_revision()));
  storage::sqlite::StoreOptions copied;
  copied.path = folder / "received.db";
  std::ofstream(copied.path, std::ios::binary) << body;
  auto copy = storage::sqlite::SqliteStore::open(copied);
  REQUIRE(copy);
  CHECK((*copy)->range({.key = "k", .range_end = "l"})->count == 200);
  copy->reset();
  store->reset();
  std::filesystem::remove_all(folder);
}
