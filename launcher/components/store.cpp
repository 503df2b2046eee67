#include "launcher/components/store.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/process.hpp>
#include <boost/process/extend.hpp>
#include <csignal>
#include <sstream>

#include "apimachinery/base64.h"
#include "launcher/components/foreign_cluster.h"
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
constexpr std::int64_t objects_a_page = 500;
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

// A program of ours: what it says. Its last line is what went wrong. It ends with this process: the next command, which
// finishes or undoes what this one began, must not find it writing yet.
Result<std::string> run_tool(const fs::path& tool, const std::vector<std::string>& arguments) {
  boost::process::ipstream said;
  std::error_code error;
  const auto end_with_us = [parent = ::getpid()](auto&) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
  };
  boost::process::child child(tool.string(), boost::process::args(arguments), boost::process::std_in.close(),
                              (boost::process::std_out & boost::process::std_err) > said,
                              boost::process::extend::on_exec_setup(end_with_us), error);
  if (error) return failure("BinaryMissing", fmt::format("{} cannot be run: {}", tool.string(), error.message()));
  std::string last, all;
  for (std::string line; std::getline(said, line);) {
    all += line + "\n";
    if (!line.empty()) last = std::move(line);
  }
  child.wait(error);
  if (error) return internal_error(fmt::format("{}: {}", tool.string(), error.message()));
  if (child.exit_code() == 0) return all;
  return failure(last.find("No space left") != std::string::npos ? "NoSpace" : "StoreUnreachable",
                 last.empty() ? fmt::format("{} ended with {}", tool.string(), child.exit_code()) : last);
}

// What a tool said of a file that is no whole snapshot of etcd.
Status about_file(const fs::path& file, const Status& error) {
  if (!error.is("StoreUnreachable")) return error;
  constexpr std::string_view tool_name = "rhino: ";
  std::string said = error.message;
  if (said.starts_with(tool_name)) said.erase(0, tool_name.size());
  const auto has = [&](std::string_view part) { return said.find(part) != std::string::npos; };
  if (has("has no SHA-256 at its end"))
    return failure("SnapshotCut",
                   fmt::format("{} has no SHA-256 at its end: it was cut short, or is the db file of a "
                               "member and no snapshot",
                               file.string()));
  if (has(" is damaged")) return failure("SnapshotDamaged", said);
  if (has("cannot open")) return failure("NotFound", said);
  return failure("EtcdSnapshotForeign", said);
}

// By etcd's own snapshot, made into a store of ours right away.
Result<> save_from_etcd(const StoreSource& source, const fs::path& to) {
  std::string endpoints;
  for (const std::string& one : source.endpoints) endpoints += (endpoints.empty() ? "" : ",") + one;
  std::vector<std::string> arguments{"snapshot", "save", to.string(), "--format=sqlite",
                                     "--endpoints=" + endpoints};
  for (const auto& [flag, file] :
       {std::pair{"--cacert=", &source.authority}, std::pair{"--cert=", &source.certificate},
        std::pair{"--key=", &source.key}})
    if (!file->empty()) arguments.push_back(flag + file->string());
  RN_TRY([[maybe_unused]] const std::string said, run_tool(source.tool, arguments));
  return {};
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
  RN_TRY([[maybe_unused]] const std::string said,
         run_tool(tool,
                  {"snapshot", "restore", copy.string(), "--data-dir=" + to.string(), "--name=" + member.name,
                   "--initial-cluster=" + member.initial_cluster, "--initial-cluster-token=" + member.token,
                   "--initial-advertise-peer-urls=" + member.peer_url}));
  return {};
}

namespace {

// Writes in transactions of a bounded size.
class BulkWriter {
 public:
  explicit BulkWriter(SqliteStore& store) : store_(store) {}
  Result<> remove(const std::string& key) {
    storage::DeleteRequest removal;
    removal.key = key;
    return add(std::move(removal));
  }
  Result<> put(const StoredObject& object) {
    storage::PutRequest put;
    put.key = object.key;
    put.value = object.value;
    return add(std::move(put));
  }
  Result<> finish() { return next_.success.empty() ? Result<>() : commit(); }

 private:
  Result<> add(storage::Operation operation) {
    next_.success.push_back(std::move(operation));
    return next_.success.size() < writes_a_transaction ? Result<>() : commit();
  }
  Result<> commit() {
    auto done = storage::blocking_call<storage::TxnResponse>(
        [&](auto callback) { store_.txn(std::move(next_), std::move(callback)); });
    next_ = {};
    if (!done) return told(done.error());
    return {};
  }
  SqliteStore& store_;
  storage::TxnRequest next_;
};

// Every key, a page at a time.
Result<> each_object(SqliteStore& store,
                     const std::function<Result<>(const std::string&, const std::string&)>& visit) {
  RangeRequest request{.key = std::string(1, '\0'), .range_end = std::string(1, '\0')};
  request.limit = objects_a_page;
  for (;;) {
    RN_TRY(const auto page, store.range(request));
    for (const auto& kv : page.kvs) RN_CHECK(visit(kv.key, *kv.value));
    if (page.kvs.empty() || !page.more) return {};
    request.key = page.kvs.back().key + '\0';
  }
}

// What only the other cluster was; what stays is one that this release can serve.
Result<> leave_behind(SqliteStore& store) {
  std::vector<std::string> left;
  std::size_t kept = 0;
  RN_CHECK(each_object(store, [&](const std::string& key, const std::string& value) -> Result<> {
    RN_TRY(const bool is_left, is_left_behind(key, value));
    if (is_left)
      left.push_back(key);
    else
      ++kept;
    return {};
  }));
  if (kept == 0)
    return failure(
        "EtcdSnapshotForeign",
        "the snapshot has no object of Kubernetes under /registry: it is of another etcd, or of a cluster "
        "with another --etcd-prefix, which is not supported");
  BulkWriter writer(store);
  for (const std::string& key : left) RN_CHECK(writer.remove(key));
  return writer.finish();
}

}  // namespace

Result<> SqliteStorePort::adapt(const fs::path& copy, const Adaptation& adaptation) {
  RN_TRY(const auto store, open_store(copy));
  if (adaptation.is_foreign) RN_CHECK(leave_behind(*store));
  std::vector<StoredObject> objects;
  for (const AdaptedPrefix& one : adapted_prefixes()) {
    RangeRequest request{.key = std::string(one.prefix), .range_end = end_of(one.prefix)};
    request.keys_only = one.is_keys_only;
    RN_TRY(auto answer, store->range(request));
    for (auto& kv : answer.kvs) objects.push_back({std::move(kv.key), std::move(kv.value)});
  }
  RN_TRY(const StoreChanges changes, adapt_objects(objects, adaptation));
  BulkWriter writer(*store);
  for (const std::string& key : changes.removals) RN_CHECK(writer.remove(key));
  for (const StoredObject& object : changes.puts) RN_CHECK(writer.put(object));
  return writer.finish();
}

Result<ForeignCluster> SqliteStorePort::read_foreign(const fs::path& file, const fs::path& tool) {
  std::vector<std::string> arguments{"snapshot", "get", "--from=" + file.string()};
  for (const std::string_view key : telling_keys()) arguments.push_back(fmt::format("--prefix={}", key));
  auto said = run_tool(tool, arguments);
  if (!said) return about_file(file, said.error());
  std::vector<StoredObject> objects;
  std::istringstream lines(*said);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    boost::system::error_code error;
    const boost::json::value entry = boost::json::parse(line, error);
    if (error) return internal_error(fmt::format("{} said: {}", tool.string(), line));
    RN_TRY(std::string value, apimachinery::base64_decode(std::string_view(entry.at("value").as_string())));
    objects.push_back(
        {std::string(entry.at("key").as_string()), std::make_shared<const std::string>(std::move(value))});
  }
  return tell_of(objects);
}

Result<> SqliteStorePort::import_foreign(const fs::path& file, const fs::path& tool, const fs::path& to) {
  // Any bump leaves the history behind, which nobody will watch.
  const auto said = run_tool(tool, {"snapshot", "import", "--from=" + file.string(),
                                    "--data-dir=" + to.string(), "--bump-revision=1"});
  return said ? Result<>() : Result<>(about_file(file, said.error()));
}

}  // namespace rusternetes::launcher
