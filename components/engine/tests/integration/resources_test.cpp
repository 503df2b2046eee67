// What the launcher asks of an engine: images, networks, volumes, engines found and started.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>

#include "engine/detect.h"
#include "engine/image_builder.h"
#include "engine/private_podman.h"
#include "real_engine.h"

using namespace rusternetes;
using namespace rusternetes::engine;
using namespace rusternetes::engine::testing;

namespace {

Task<> images(RealEngine& real) {
  auto layer = must("layer", build_layer({LayerEntry::file("a/file", "text")}));
  ImageSpec one, two;
  one.tags = {"localhost/rusternetes-test/one:1"};
  one.entrypoint = {"/a/file"};
  one.user = "1000";
  one.env = {"A=b"};
  one.labels = {{"k", "v"}};
  one.layers = {&layer};
  two.tags = {"example.test:5000/rusternetes-test/two:2"};
  two.layers = {&layer};
  auto archive = must("archive", build_archive({one, two}));
  must("leftover", co_await real.engine->remove_image("rusternetes-test:x", true));
  auto names = must("load", co_await real.engine->load_images(archive.tar));
  for (const auto& image : {one, two})
    CHECK(std::find(names.begin(), names.end(), image.tags[0]) != names.end());
  auto details = must("inspect", co_await real.engine->inspect_image(one.tags[0]));
  CHECK(details.id == archive.ids[0]);
  CHECK(details.user == "1000");
  CHECK(details.entrypoint == one.entrypoint);
  CHECK(details.env == one.env);
  CHECK(details.labels == one.labels);
  CHECK(must("by id", co_await real.engine->inspect_image(details.id)).repo_tags == one.tags);
  must("tag", co_await real.engine->tag_image(one.tags[0], "docker.io/library/rusternetes-test:x"));
  // A short name means the same on both.
  CHECK(must("short", co_await real.engine->has_image("rusternetes-test:x")));
  auto list = must("list", co_await real.engine->list_images());
  auto is_it = [&details](const ImageSummary& image) { return image.id == details.id; };
  auto found = std::find_if(list.begin(), list.end(), is_it);
  REQUIRE(found != list.end());
  CHECK(found->repo_tags.size() == 2);
  CHECK(std::find(found->repo_tags.begin(), found->repo_tags.end(), "docker.io/library/rusternetes-test:x") !=
        found->repo_tags.end());
  CHECK(found->size_bytes > 0);
  for (const auto& name : {one.tags[0], two.tags[0], std::string("rusternetes-test:x")}) {
    must("remove", co_await real.engine->remove_image(name, false));
    CHECK_FALSE(must("has", co_await real.engine->has_image(name)));
    must("remove absent", co_await real.engine->remove_image(name, false));
  }
  auto bad = co_await real.engine->load_images("this is no tar");
  CHECK_FALSE(bad);
}

// A TCP socket on loopback; it listens and never answers, or refuses once it is closed.
struct DeafServer {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::uint16_t port = 0;
  DeafServer() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    ::listen(fd, 8);
    socklen_t size = sizeof(address);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    port = ::ntohs(address.sin_port);
  }
  ~DeafServer() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

Task<> pull_errors(RealEngine& real) {
  DeafServer server;
  auto reference = fmt::format("127.0.0.1:{}/nobody/nothing:1", server.port);
  auto before = std::chrono::steady_clock::now();
  auto late = co_await real.engine->pull_image(reference, {}, std::chrono::milliseconds(1500));
  REQUIRE_FALSE(late);
  CHECK(late.error().is("Timeout"));
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(4));
  server.close();
  auto refused = co_await real.engine->pull_image(reference, {}, std::chrono::seconds(60));
  REQUIRE_FALSE(refused);
  INFO(refused.error().message);
  CHECK(refused.error().reason == reason::kRegistryUnavailable);
  auto invalid = co_await real.engine->pull_image("Not A Name", {}, std::chrono::seconds(5));
  REQUIRE_FALSE(invalid);
  CHECK(invalid.error().reason == reason::kInvalidImageName);
}

Task<> networks(RealEngine& real) {
  NetworkSpec spec;
  spec.name = "rusternetes-test-" + real.kind;
  spec.subnet = real.is_podman() ? "10.213.77.0/24" : "10.213.78.0/24";
  spec.gateway = real.is_podman() ? "10.213.77.1" : "10.213.78.1";
  spec.bridge_name = "rntest" + real.kind.substr(0, 3);
  spec.mtu = 1400;
  spec.has_dns = false;
  spec.labels = {{"cluster", "test"}};
  must("leftover", co_await real.engine->remove_network(spec.name));
  must("create", co_await real.engine->create_network(spec));
  auto again = co_await real.engine->create_network(spec);
  REQUIRE_FALSE(again);
  CHECK(again.error().is("AlreadyExists"));
  auto overlapping = spec;
  overlapping.name += "-2";
  overlapping.bridge_name += "2";
  auto overlap = co_await real.engine->create_network(overlapping);
  REQUIRE_FALSE(overlap);
  CHECK(overlap.error().reason == reason::kPoolOverlap);
  auto details = must("inspect", co_await real.engine->inspect_network(spec.name));
  CHECK(details.subnet == spec.subnet);
  CHECK(details.gateway == spec.gateway);
  CHECK(details.bridge_name == spec.bridge_name);
  auto list = must("list", co_await real.engine->list_networks({{"cluster", "test"}}));
  REQUIRE(list.size() == 1);
  CHECK(list[0].name == spec.name);

  ContainerSpec container;
  container.name = "rusternetes-test-net";
  container.image = kBusyboxImage;
  container.command = {"/bin/busybox", "sleep", "1000"};
  container.attachment = NetworkAttachment{spec.name, spec.subnet.substr(0, 9) + ".9", {}};
  container.ports = {{"127.0.0.1", 28080, 80, "tcp"}};
  must("leftover", co_await real.engine->remove_container(container.name, true));
  auto id = must("create", co_await real.engine->create_container(container));
  auto twice = co_await real.engine->create_container(container);
  REQUIRE_FALSE(twice);
  CHECK(twice.error().is("AlreadyExists"));
  must("start", co_await real.engine->start_container(id));
  must("start again", co_await real.engine->start_container(id));
  auto running = must("inspect", co_await real.engine->inspect_container(id));
  CHECK(running.network_ips[spec.name] == container.attachment->ipv4);
  auto taken = container;
  taken.name += "-2";
  taken.ports.clear();
  auto second = must("create", co_await real.engine->create_container(taken));
  auto started = co_await real.engine->start_container(second);
  REQUIRE_FALSE(started);
  CHECK(started.error().reason == reason::kAddressInUse);
  must("remove", co_await real.engine->remove_container(second, true));
  taken.ports = container.ports;
  taken.attachment->ipv4 = spec.subnet.substr(0, 9) + ".10";
  auto third = must("create", co_await real.engine->create_container(taken));
  auto published = co_await real.engine->start_container(third);
  REQUIRE_FALSE(published);
  CHECK(published.error().reason == reason::kAddressInUse);
  must("remove", co_await real.engine->remove_container(third, true));
  must("remove", co_await real.engine->remove_container(id, true));
  must("remove", co_await real.engine->remove_network(spec.name));
  auto gone = co_await real.engine->inspect_network(spec.name);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().is("NotFound"));
}

Task<> detected(RealEngine& real) {
  DetectOptions options;
  options.socket_path = real.socket;
  auto engine = must("detect", co_await detect_engine(real.thread.executor(), options));
  CHECK(to_string(engine->info().kind) == real.kind);
  options.kind = real.is_podman() ? EngineKind::docker : EngineKind::podman;
  auto other = co_await detect_engine(real.thread.executor(), options);
  REQUIRE_FALSE(other);
  CHECK(other.error().is("Invalid"));
}

Task<> use_private(std::string socket, EventThread& thread) {
  auto engine = must("connect", co_await Engine::connect(thread.executor(), socket));
  auto list = must("list", co_await engine->list_containers({}));
  CHECK(list.empty());
  CHECK(engine->info().kind == EngineKind::podman);
}

}  // namespace

TEST_CASE("images are loaded, named alike on both engines, tagged and removed") { on_each_engine(images); }
TEST_CASE("a pull fails in time, with the reason") { on_each_engine(pull_errors); }
TEST_CASE("networks hold their addresses, and errors say what is taken") { on_each_engine(networks); }
TEST_CASE("an engine is found by its socket and its kind is checked") { on_each_engine(detected); }

TEST_CASE("a private Podman starts with its own configuration and stops") {
  auto sockets = engine_sockets();
  auto is_podman = [](const auto& item) { return item.first == "podman"; };
  if (std::none_of(sockets.begin(), sockets.end(), is_podman)) {
    std::cout << "SKIPPED: RUSTERNETES_TEST_ENGINES names no podman\n";
    return;
  }
  char folder[] = "/run/engine-test-XXXXXX";
  PrivatePodmanOptions options;
  options.directory = ::mkdtemp(folder);
  options.storage_root = options.directory + "/storage";
  auto podman = must("start", start_private_podman(options));
  auto again = start_private_podman(options);
  REQUIRE_FALSE(again);
  CHECK(again.error().is("AlreadyExists"));
  EventThread thread("private-podman");
  run_blocking(thread.executor(), use_private(podman.socket_path, thread));
  stop_private_podman(podman);
  CHECK_FALSE(socket_peer(podman.socket_path));
  options.program = "/bin/false";
  auto failed = start_private_podman(options);
  REQUIRE_FALSE(failed);
  std::system(fmt::format("umount -q {0}/storage/overlay; rm -rf {0}", options.directory).c_str());
}
