// `rhino snapshot save`: of a rhino, of the real etcd, and of servers that go wrong.

#include "rhino/snapshot_save.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "etcd/rpc.grpc.pb.h"
#include "program_harness.h"
#include "rhino/snapshot_import.h"
#include "rhino/snapshot_read.h"
#include "snapshot_command_harness.h"
#include "snapshot_history.h"
#include "snapshot_peers.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;

namespace {

// What a save must not leave.
void check_clean(const Folder& folder, const std::string& name) {
  for (const char* suffix : {"", ".part", ".lock", ".import", "-wal", "-shm"})
    CHECK_FALSE(std::filesystem::exists(folder.file(name + suffix)));
}

SaveOptions options_for(std::vector<std::string> servers) {
  SaveOptions options;
  options.etcd.servers = std::move(servers);
  return options;
}

std::string message_of(const Result<SaveSummary>& saved) { return saved ? "none" : saved.error().message; }

void put_with_etcdctl_words(std::uint16_t port, int keys) {
  auto kv = etcdserverpb::KV::NewStub(
      new_channel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  for (int i = 0; i < keys; ++i) {
    grpc::ClientContext context;
    etcdserverpb::PutRequest request;
    request.set_key(fmt::format("k{}", i));
    request.set_value(std::string(3000, 'x'));
    etcdserverpb::PutResponse response;
    REQUIRE(kv->Put(&context, request, &response).ok());
  }
}

// A listener whose queue takes connections that nobody ever answers.
class Silent {
 public:
  Silent() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    url = fmt::format("http://127.0.0.1:{}", ::ntohs(address.sin_port));
  }
  ~Silent() { ::close(fd_); }
  std::string url;

 private:
  int fd_;
};

// Answers reads, and sends what it is told for a snapshot.
class Fake final : public etcdserverpb::KV::Service, public etcdserverpb::Maintenance::Service {
 public:
  Fake(std::vector<std::string> blobs, grpc::Status end) : blobs_(std::move(blobs)), end_(std::move(end)) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<etcdserverpb::KV::Service*>(this));
    builder.RegisterService(static_cast<etcdserverpb::Maintenance::Service*>(this));
    server_ = builder.BuildAndStart();
    REQUIRE(server_);
    url = fmt::format("http://127.0.0.1:{}", port);
  }
  ~Fake() override { server_->Shutdown(); }
  grpc::Status Range(grpc::ServerContext*, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse*) override {
    if (has_quorum || request->serializable()) return grpc::Status::OK;
    return {grpc::StatusCode::UNAVAILABLE, "etcdserver: request timed out"};
  }
  grpc::Status Snapshot(grpc::ServerContext*, const etcdserverpb::SnapshotRequest*,
                        grpc::ServerWriter<etcdserverpb::SnapshotResponse>* writer) override {
    for (const auto& blob : blobs_) {
      etcdserverpb::SnapshotResponse response;
      response.set_blob(blob);
      writer->Write(response);
    }
    return end_;
  }
  std::string url;
  bool has_quorum = true;

 private:
  std::vector<std::string> blobs_;
  grpc::Status end_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

TEST_CASE("what a rhino has is saved as etcd's file and as a store, from the first server that answers") {
  const Folder folder;
  Program program(folder.path, flags(folder));
  const auto port = program.wait_ready().at(0);
  put_with_etcdctl_words(port, 500);
  const Silent silent;
  const auto url = fmt::format("http://127.0.0.1:{}", port);
  const auto endpoints = fmt::format("--endpoints=http://127.0.0.1:1,{},127.0.0.1:{}", silent.url, port);

  auto saved = command({"snapshot", "save", folder.file("snap"), endpoints});
  INFO(saved.err);
  REQUIRE(saved.code == 0);
  CHECK(saved.out.find("revision 501, 500 keys") != std::string::npos);
  CHECK(saved.out.find("from " + url) != std::string::npos);
  struct stat info {};
  REQUIRE(::stat(folder.file("snap").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(folder.file("snap.part")));
  CHECK(snapshot_status(folder.file("snap"))->total_keys == 500);

  auto stored = command(
      {"snapshot", "save", folder.file("copy.db"), "--endpoints", url, "--format", "sqlite", "-w", "json"});
  INFO(stored.err);
  REQUIRE(stored.code == 0);
  CHECK(stored.out.find(R"("revision":501,"totalKey":500,)") != std::string::npos);
  for (const char* suffix : {".part", ".lock"})
    CHECK_FALSE(std::filesystem::exists(folder.file(std::string("copy.db") + suffix)));
  {
    TestStore store(folder.file("copy.db"));
    CHECK(store->current_revision() == 501);
    CHECK(store->key_count() == 500);
  }
  auto raised = command({"snapshot", "save", folder.file("raised.db"), "--endpoints", url, "--format",
                         "sqlite", "--bump-revision", "1000"});
  REQUIRE(raised.code == 0);
  CHECK(TestStore(folder.file("raised.db"))->compact_revision() == 1501);

  auto twice = command({"snapshot", "save", folder.file("snap"), endpoints});
  CHECK(twice.code == 1);
  CHECK(twice.err.find("exists already") != std::string::npos);
  CHECK(command({"snapshot", "save", folder.file("x"), "--bump-revision", "5"}).code == 1);
  CHECK(command({"snapshot", "save", folder.file("x"), "--format", "tar"}).code > 1);
  check_clean(folder, "x");
}

TEST_CASE("a save speaks TLS with a certificate of its own, and says who is not trusted") {
  const Folder folder;
  const Certificates certificates(folder.path);
  auto arguments = flags(folder, "https://127.0.0.1:0");
  for (const char* pair : {"cert-file=server.crt", "key-file=server.key", "trusted-ca-file=ca.crt"}) {
    const std::string text = pair;
    const auto equals = text.find('=') + 1;
    arguments.push_back("--" + text.substr(0, equals) + folder.file(text.substr(equals)));
  }
  Program program(folder.path, arguments);
  const auto port = program.wait_ready().at(0);
  write_file(folder.file("client.crt"), certificates.client.certificate_pem);
  write_file(folder.file("client.key"), certificates.client.key_pem);
  auto save = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"snapshot", "save", folder.file("snap"),
                                   fmt::format("--endpoints=127.0.0.1:{}", port)};
    words.insert(words.end(), more.begin(), more.end());
    return command(words);
  };
  const std::string authority = "--cacert=" + folder.file("ca.crt");
  for (const auto& more : {std::vector<std::string>{authority}, std::vector<std::string>{}}) {
    const auto refused = save(more);
    CHECK(refused.code == 1);
    CHECK(refused.err.find("no snapshot was to be had: http") != std::string::npos);
    CHECK(std::count(refused.err.begin(), refused.err.end(), '\n') == 1);
    check_clean(folder, "snap");
  }
  CHECK(save({authority, "--cert=" + folder.file("client.crt")}).err.find("needs its key") !=
        std::string::npos);
  CHECK(save({"--cacert=" + folder.file("absent")}).err.find("absent") != std::string::npos);
  check_clean(folder, "snap");
  const auto saved =
      save({authority, "--cert=" + folder.file("client.crt"), "--key=" + folder.file("client.key")});
  INFO(saved.err);
  CHECK(saved.code == 0);
}

TEST_CASE("a snapshot that is cut short, damaged or none is not kept, and the next server is asked") {
  const Folder folder;
  const auto sound = read_file(kept_file("etcd-3.6.snap"));
  const Fake cut({sound.substr(0, 5000)}, {grpc::StatusCode::UNAVAILABLE, "etcdserver: server stopped"});
  const Fake short_one({sound.substr(0, 8192)}, grpc::Status::OK);
  auto flipped = sound;
  flipped[9000] = static_cast<char>(flipped[9000] ^ 4);
  const Fake damaged({flipped.substr(0, 700), flipped.substr(700)}, grpc::Status::OK);
  const Fake good({sound.substr(0, 4097), sound.substr(4097)}, grpc::Status::OK);

  auto refused =
      message_of(save_snapshot(options_for({cut.url, short_one.url, damaged.url}), folder.file("s")));
  CHECK(refused.find(cut.url + ": etcdserver: server stopped; ") != std::string::npos);
  CHECK(refused.find(short_one.url + ": what it sent has no SHA-256 at its end; ") != std::string::npos);
  CHECK(refused.find(damaged.url + ": what it sent is damaged") != std::string::npos);
  check_clean(folder, "s");

  auto saved = save_snapshot(options_for({cut.url, damaged.url, good.url}), folder.file("s"));
  INFO(message_of(saved));
  REQUIRE(saved);
  CHECK(saved->endpoint == good.url);
  CHECK(read_file(folder.file("s")) == sound);

  // Whole, but of another kind: the sum is right.
  unsigned char sum[32];
  const std::string other(4096, 'x');
  ::EVP_Digest(other.data(), other.size(), sum, nullptr, EVP_sha256(), nullptr);
  const Fake foreign({other, std::string(reinterpret_cast<const char*>(sum), 32)}, grpc::Status::OK);
  for (const bool makes_store : {false, true}) {
    auto options = options_for({foreign.url});
    options.makes_store = makes_store;
    CHECK(message_of(save_snapshot(options, folder.file("f"))).find("is no snapshot of etcd") !=
          std::string::npos);
    check_clean(folder, "f");
  }
  CHECK(message_of(save_snapshot(options_for({good.url}), folder.file("none/s"))).find("cannot make") !=
        std::string::npos);
}

TEST_CASE("a member without its cluster gives what it has only when it is asked to") {
  const Folder folder;
  Fake alone({read_file(kept_file("etcd-3.6.snap"))}, grpc::Status::OK);
  alone.has_quorum = false;
  auto options = options_for({alone.url});
  CHECK(message_of(save_snapshot(options, folder.file("s"))).find("--consistency=s") != std::string::npos);
  check_clean(folder, "s");
  options.is_serializable = true;
  CHECK(save_snapshot(options, folder.file("s")));
}

TEST_CASE("of the real etcd it saves what etcdctl saves", "[peers]") {
  for (const char* name : {"etcd", "etcd-3.4"}) {
    if (!has_peers() || ::access(peer(name).c_str(), X_OK) != 0) {
      WARN("skipped: no " << name << ", etcdctl and etcdutl in $PEERS (scripts/peers builds them)");
      continue;
    }
    const Folder folder;
    Etcd etcd(folder.file("etcd"), name);
    for (int i = 0; i < 20; ++i) etcd.ctl({"put", fmt::format("key/{}", i % 7), std::string(40'000, 'v')});
    etcd.ctl({"del", "key/3"});
    etcd.ctl({"compaction", "5", "--physical"});
    etcd.ctl({"snapshot", "save", folder.file("theirs")});
    auto saved = save_snapshot(options_for({etcd.url()}), folder.file("ours"));
    INFO(message_of(saved));
    REQUIRE(saved);
    CHECK(saved->revision == etcd.revision());
    CHECK(saved->keys == 6);
    CHECK(rows_of(folder.file("ours")) == rows_of(folder.file("theirs")));
    auto options = options_for({etcd.url()});
    options.makes_store = true;
    REQUIRE(save_snapshot(options, folder.file("store.db")));
    CHECK(TestStore(folder.file("store.db"))->current_revision() == etcd.revision());
  }
}
