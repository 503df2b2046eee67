#include "launcher/components/store.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/process.hpp>

#include "launcher/components/store_adaptation.h"
#include "launcher/failure.h"
#include "launcher/snapshot/errors.h"
#include "launcher/snapshot/file.h"
#include "storage/blocking.h"
#include "storage/sqlite/sqlite_store.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;
using storage::RangeRequest;
using storage::sqlite::SqliteStore;

constexpr std::string_view objects_begin = "/registry/", objects_end = "/registry0";
// Below these are no objects of the API.
constexpr std::string_view allocations[] = {"/registry/ranges/", "/registry/masterleases/"};
constexpr std::size_t writes_a_transaction = 500;
// How long a server may take until the next piece comes: it makes the whole copy before the first.
constexpr long patience_s = 300;

// The store's own reasons, as the command line has them.
Status told(const Status& error) {
  if (error.is("InUse")) return failure("StoreInUse", error.message);
  if (error.is(storage::reason_no_space)) return failure("NoSpace", error.message);
  if (error.is("NotFound")) return failure("NotFound", error.message);
  if (error.is("InternalError") || error.reason.empty()) return error;
  return failure("StoreDamaged", error.message);
}

Result<std::unique_ptr<SqliteStore>> open_store(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error))
    return failure("NotFound", fmt::format("there is no store {}", file.string()));
  storage::sqlite::StoreOptions options;
  options.path = file.string();
  auto store = SqliteStore::open(std::move(options));
  if (!store) return told(store.error());
  return std::move(store).value();
}

std::string end_of(std::string_view prefix) {
  std::string end(prefix);
  ++end.back();
  return end;
}

Result<std::int64_t> count(SqliteStore& store, std::string_view from, std::string_view to) {
  RangeRequest request{.key = std::string(from), .range_end = std::string(to)};
  request.count_only = true;
  RN_TRY(const auto answer, store.range(request));
  return answer.count;
}

// What a response is written to: the file, or, of an error, its first words.
struct Download {
  CURL* curl = nullptr;
  snapshot::File& file;
  const std::function<void(std::uint64_t)>& on_progress;
  std::uint64_t bytes = 0;
  std::string said;
  Status error{200, "", ""};
};

std::size_t take(char* data, std::size_t, std::size_t size, void* to) {
  auto& download = *static_cast<Download*>(to);
  long status = 0;
  curl_easy_getinfo(download.curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    download.said.append(
        data, std::min<std::size_t>(size, 4096 - std::min<std::size_t>(download.said.size(), 4096)));
    return size;
  }
  if (auto written = download.file.write(snapshot::bytes_of({data, size})); !written) {
    download.error = written.error();
    return 0;
  }
  download.bytes += size;
  if (download.on_progress) download.on_progress(download.bytes);
  return size;
}

Result<> download(const fs::path& socket, snapshot::File& file,
                  const std::function<void(std::uint64_t)>& on_progress) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return internal_error("libcurl does not start");
  Download state{.curl = curl.get(), .file = file, .on_progress = on_progress, .said = {}};
  char message[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, "http://store/copy");
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, patience_s);
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, message);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &state);
  const CURLcode code = curl_easy_perform(curl.get());
  if (state.error.code != 200) return state.error;
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 0 && status != 200) {
    const std::string said = state.said.substr(0, state.said.find('\n'));
    return failure(said.find("disk is full") != std::string::npos ? "NoSpace" : "StoreUnreachable",
                   fmt::format("the cluster's process cannot copy its store: {}", said));
  }
  if (code != CURLE_OK)
    return failure("StoreUnreachable",
                   fmt::format("the cluster's store does not answer at {}: {}", socket.string(),
                               *message != '\0' ? message : curl_easy_strerror(code)));
  if (::fsync(file.fd()) != 0) return snapshot::file_error("write", file.path(), errno);
  return {};
}

// A program of ours; its last line is what went wrong.
Result<> run_tool(const fs::path& tool, const std::vector<std::string>& arguments) {
  boost::process::ipstream said;
  std::error_code error;
  boost::process::child child(tool.string(), boost::process::args(arguments), boost::process::std_in.close(),
                              (boost::process::std_out & boost::process::std_err) > said, error);
  if (error) return failure("BinaryMissing", fmt::format("{} cannot be run: {}", tool.string(), error.message()));
  std::string last;
  for (std::string line; std::getline(said, line);)
    if (!line.empty()) last = line;
  child.wait(error);
  if (error) return internal_error(fmt::format("{}: {}", tool.string(), error.message()));
  if (child.exit_code() == 0) return {};
  return failure(last.find("No space left") != std::string::npos ? "NoSpace" : "StoreUnreachable",
                 last.empty() ? fmt::format("{} ended with {}", tool.string(), child.exit_code()) : last);
}

// By etcd's own snapshot, made into a store of ours right away.
Result<> save_from_etcd(const StoreSource& source, const fs::path& to) {
  std::string endpoints;
  for (const std::string& one : source.endpoints) endpoints += (endpoints.empty() ? "" : ",") + one;
  return run_tool(source.tool, {"snapshot", "save", to.string(), "--format=sqlite", "--endpoints=" + endpoints,
                                "--cacert=" + source.authority.string(), "--cert=" + source.certificate.string(),
                                "--key=" + source.key.string()});
}

}  // namespace

Result<> SqliteStorePort::copy_running(const StoreSource& source, const fs::path& to,
                                       const std::function<void(std::uint64_t)>& on_progress) {
  if (source.kind == snapshot::StoreKind::etcd) return save_from_etcd(source, to);
  const int fd = ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return snapshot::file_error("make", to, errno);
  snapshot::File file(fd, to);
  auto copied = download(source.socket, file, on_progress);
  if (!copied) ::unlink(to.c_str());
  return copied;
}

Result<> SqliteStorePort::copy_stopped(const StoreSource& source, const fs::path& to) {
  if (source.kind == snapshot::StoreKind::etcd)
    return failure("StoreUnreachable", "etcd does not run, and a copy is made of one that does: start the cluster");
  RN_TRY(const auto store, open_store(source.file));
  auto copied = store->copy_to(to.string());
  if (!copied) return told(copied.error());
  return {};
}

Result<StoreFacts> SqliteStorePort::facts(const fs::path& copy) {
  RN_TRY(const auto store, open_store(copy));
  StoreFacts out{.revision = store->current_revision()};
  RN_TRY(out.object_count, count(*store, objects_begin, objects_end));
  for (const std::string_view prefix : allocations) {
    RN_TRY(const std::int64_t others, count(*store, prefix, end_of(prefix)));
    out.object_count -= others;
  }
  return out;
}

Result<> SqliteStorePort::raise(const fs::path& copy, std::int64_t revision) {
  RN_TRY(const StoreFacts now, facts(copy));
  if (revision <= now.revision) return {};
  auto raised = storage::sqlite::raise_revision(copy.string(), revision - now.revision);
  if (!raised) return told(raised.error());
  return {};
}

Result<> SqliteStorePort::make_member(const fs::path& copy, const EtcdMember& member, const fs::path& tool,
                                      const fs::path& to) {
  return run_tool(tool, {"snapshot", "restore", copy.string(), "--data-dir=" + to.string(),
                         "--name=" + member.name, "--initial-cluster=" + member.initial_cluster,
                         "--initial-cluster-token=" + member.token,
                         "--initial-advertise-peer-urls=" + member.peer_url});
}

Result<> SqliteStorePort::adapt(const fs::path& copy, const Adaptation& adaptation) {
  RN_TRY(const auto store, open_store(copy));
  std::vector<StoredObject> objects;
  for (const AdaptedPrefix& one : adapted_prefixes()) {
    RangeRequest request{.key = std::string(one.prefix), .range_end = end_of(one.prefix)};
    request.keys_only = one.is_keys_only;
    RN_TRY(auto answer, store->range(request));
    for (auto& kv : answer.kvs) objects.push_back({std::move(kv.key), std::move(kv.value)});
  }
  RN_TRY(const StoreChanges changes, adapt_objects(objects, adaptation));
  storage::TxnRequest next;
  const auto commit = [&]() -> Result<> {
    auto done = storage::blocking_call<storage::TxnResponse>(
        [&](auto callback) { store->txn(std::move(next), std::move(callback)); });
    next = {};
    if (!done) return told(done.error());
    return {};
  };
  const auto add = [&](storage::Operation operation) -> Result<> {
    next.success.push_back(std::move(operation));
    return next.success.size() < writes_a_transaction ? Result<>() : commit();
  };
  for (const std::string& key : changes.removals) {
    storage::DeleteRequest removal;
    removal.key = key;
    RN_CHECK(add(std::move(removal)));
  }
  for (const StoredObject& object : changes.puts) {
    storage::PutRequest put;
    put.key = object.key;
    put.value = object.value;
    RN_CHECK(add(std::move(put)));
  }
  return next.success.empty() ? Result<>() : commit();
}

}  // namespace rusternetes::launcher
