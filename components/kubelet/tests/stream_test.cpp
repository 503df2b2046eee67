// exec, attach and run through the kubelet's own server, over a runtime in memory.

#include "http/streams/websocket_connection.h"
#include "stream_harness.h"

using namespace rusternetes;
using namespace rusternetes::kubelet;
using namespace rusternetes::kubelet::testing;
using engine::ContainerState;
using http::MultiplexedStream;

namespace {

const char* kExit3 =
    R"({"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: error executing command [cat -], exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}})";

Task<> exec_once(StreamWorld& world, std::string text, int& good) {
  auto connection = co_await world.spdy("/exec/default/web/a?input=1&output=1&error=1&command=cat&command=-");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  auto err = co_await open(connection, "stderr");
  co_await say(*in, text);
  co_await finish(*in);
  auto said = co_await read_all(*out);
  auto complained = co_await read_all(*err);
  auto status = co_await read_all(*error);
  if (said && *said == text && complained && *complained == "bye" && status && *status == kExit3) ++good;
  co_await connection->close(std::chrono::seconds(1));
}

Task<> exec_whole(StreamWorld& world) {
  int good = 0;
  co_await exec_once(world, "some input", good);
  CHECK(good == 1);
  CHECK(world.started == std::vector<std::string>{"c1"});
  CHECK(world.specs.at(0).command == std::vector<std::string>{"cat", "-"});
  CHECK(world.specs.at(0).has_stdin);
  CHECK(world.fate->was_given_end);
  const bool is_gone = co_await comes_true([&world] { return world.fate->is_gone; });
  CHECK(is_gone);
}

Task<> many(StreamWorld& world) {
  TaskGroup tasks(co_await asio::this_coro::executor);
  int good = 0;
  for (int i = 0; i < 200; ++i)
    tasks.spawn("exec", exec_once(world, "text " + std::to_string(i) + std::string(1000, '.'), good));
  const bool is_over = co_await comes_true([&tasks] { return tasks.size() == 0; });
  CHECK(is_over);
  CHECK(good == 200);
}

Task<> over_websocket(StreamWorld& world) {
  StreamAnswer answer = co_await world.ask(
      "/exec/default/web/a?input=1&output=1&error=1&command=cat&command=-", "ws:v5.channel.k8s.io", "GET");
  REQUIRE(answer.status == 101);
  http::WebSocketConnection::Options options;
  options.role = http::WebSocketCodec::Role::client;
  options.channels = 5;
  options.has_close_signal = true;
  auto connection =
      http::WebSocketConnection::create(world.thread.executor(), std::move(answer.stream), options);
  auto in = connection->take_channel(0), out = connection->take_channel(1),
       error = connection->take_channel(3);
  connection->start();
  co_await say(*in, "over there");
  co_await finish(*in);
  auto said = co_await out->read_some();
  REQUIRE(said);
  CHECK(*said == "over there");
  std::string status;
  while (status.size() < std::string_view(kExit3).size()) {
    auto piece = co_await error->read_some();
    REQUIRE(piece);
    status += *piece;
  }
  CHECK(status == kExit3);
  co_await connection->close(std::chrono::seconds(1));
}

Task<> refusals(StreamWorld& world) {
  const std::string good = "?output=1&command=x";
  StreamAnswer answer = co_await world.ask("/exec/default/none/a" + good, "v4.channel.k8s.io");
  CHECK(answer.status == 404);
  CHECK(answer.body == "pod does not exist\n");
  answer = co_await world.ask("/exec/default/web/other-uid/a" + good, "v4.channel.k8s.io");
  CHECK(answer.status == 404);
  answer = co_await world.ask("/exec/default/web/b" + good, "v4.channel.k8s.io");
  CHECK(answer.status == 500);
  CHECK(answer.body == "container not found (\"b\")\n");
  answer = co_await world.ask("/exec/default/web/a?command=x", "v4.channel.k8s.io");
  CHECK(answer.status == 400);
  CHECK(answer.body == "you must specify at least 1 of stdin, stdout, stderr\n");
  answer = co_await world.ask("/exec/default/web/a" + good, "");
  CHECK(answer.status == 400);
  answer = co_await world.ask("/exec/default/web/a" + good, "v9.channel.k8s.io");
  CHECK(answer.status == 403);
  answer = co_await world.ask("/portForward/default/none", "portforward.k8s.io");
  CHECK(answer.status == 404);
  world.runtime.containers["c1"].state = ContainerState::exited;
  answer = co_await world.ask("/exec/default/web/a" + good, "v4.channel.k8s.io");
  CHECK(answer.body == "container not found (\"a\")\n");
  world.runtime.sandboxes["s1"].state = engine::SandboxState::not_ready;
  answer = co_await world.ask("/portForward/default/web", "portforward.k8s.io");
  CHECK(answer.status == 500);
  CHECK(answer.body == "pod not found (\"web_default\")\n");
  CHECK(world.started.empty());
}

Task<> forbidden(StreamWorld& world) {
  world.api.allowed_subresources = {"pods", "metrics"};
  for (const char* path : {"/exec/default/web/a?output=1&command=x", "/attach/default/web/a?output=1",
                           "/run/default/web/a?cmd=x", "/portForward/default/web"}) {
    StreamAnswer answer = co_await world.ask(path, "v4.channel.k8s.io");
    CHECK(answer.status == 403);
    CHECK(answer.body ==
          "Forbidden (user=kube-apiserver, verb=create, resource=nodes, subresource(s)=[proxy])");
  }
}

Task<> terminal(StreamWorld& world) {
  world.fate->resizes_to_fail = 3;
  auto connection = co_await world.spdy("/exec/default/web/u1/a?input=1&output=1&error=1&tty=1&command=sh");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  auto resize = co_await open(connection, "resize");
  co_await say(*in, "ls\r");
  auto echoed = co_await out->read_some();
  CHECK(*echoed == "ls\r");
  co_await finish(*in);  // which ends no terminal
  co_await say(*resize, R"({"Width":100,"Height":30})");
  auto rest = co_await read_all(*out);
  CHECK(*rest == "resized");
  CHECK(world.fate->sizes == std::vector<std::string>{"100x30"});
  CHECK_FALSE(world.fate->was_given_end);
  CHECK_FALSE(world.specs.at(0).has_stderr);
  co_await connection->close(std::chrono::seconds(1));
}

Task<> attaches(StreamWorld& world) {
  auto connection = co_await world.spdy("/attach/default/web/a?input=1&output=1&error=1");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  auto err = co_await open(connection, "stderr");
  co_await say(*in, "hello");
  co_await finish(*in);
  auto said = co_await read_all(*out);
  CHECK(*said == "hello");
  auto status = co_await read_all(*error);
  CHECK(*status == R"({"metadata":{},"status":"Success"})");
  CHECK(world.started == std::vector<std::string>{"c1 attach"});
  co_await connection->close(std::chrono::seconds(1));
}

Task<> failing(StreamWorld& world) {
  world.runtime.on_session = nullptr;
  auto connection = co_await world.spdy("/exec/default/web/a?output=1&command=x");
  auto error = co_await open(connection, "error");
  auto out = co_await open(connection, "stdout");
  auto status = co_await read_all(*error);
  REQUIRE(status);
  CHECK(status->find(
            R"("message":"Internal error occurred: error executing command in container: no exec here")") !=
        std::string::npos);
  co_await connection->close(std::chrono::seconds(1));
}

Task<> drop(StreamWorld& world, std::string path) {
  {
    auto connection = co_await world.spdy(std::move(path));
    auto error = co_await open(connection, "error");
    auto in = co_await open(connection, "stdin");
    auto out = co_await open(connection, "stdout");
    co_await say(*in, "x");
    auto said = co_await out->read_some();
    CHECK(*said == "x");
    CHECK_FALSE(world.fate->is_gone);
    co_await connection->close(std::chrono::milliseconds(0));
  }
  const bool is_gone = co_await comes_true([&world] { return world.fate->is_gone; });
  CHECK(is_gone);
}

Task<> dropped(StreamWorld& world) {
  co_await drop(world, "/exec/default/web/a?input=1&output=1&command=cat");
  CHECK(world.fate->was_given_end);
  CHECK_FALSE(world.fate->is_killed);
}

Task<> dropped_stubborn(StreamWorld& world) {
  world.fate->ignores_end = true;
  co_await drop(world, "/exec/default/web/a?input=1&output=1&command=cat");
  CHECK(world.fate->was_given_end);
  CHECK(world.fate->is_killed);
}

Task<> dropped_attach(StreamWorld& world) {
  world.fate->ignores_end = true;
  co_await drop(world, "/attach/default/web/a?input=1&output=1");
  CHECK_FALSE(world.fate->is_killed);
}

// The input of a container with stdin and not stdinOnce stays open, for the next client too.
Task<> attaches_again(StreamWorld& world) {
  world.pod = make_pod(R"({"containers":[{"name":"a","image":"i","stdin":true}]})");
  for (const std::string words : {"one", "two", "three"}) {
    auto connection = co_await world.spdy("/attach/default/web/a?input=1&output=1&error=1");
    auto error = co_await open(connection, "error");
    auto in = co_await open(connection, "stdin");
    auto out = co_await open(connection, "stdout");
    auto err = co_await open(connection, "stderr");
    co_await say(*in, words);
    if (words == "one") co_await finish(*in);
    auto said = co_await out->read_some();
    REQUIRE(said);
    CHECK(*said == words);
    co_await connection->close(std::chrono::milliseconds(words == "two" ? 0 : 1000));
    const bool is_over = co_await comes_true([&world] { return world.server->stream_sessions() == 0; });
    CHECK(is_over);
  }
  CHECK_FALSE(world.fate->is_gone);
  CHECK_FALSE(world.fate->was_given_end);
  CHECK(world.started == std::vector<std::string>{"c1 attach"});
  co_await world.server->stop();
  CHECK(world.fate->is_gone);
}

// Nobody reads the output: what passes is held back, at the process.
Task<> slow(StreamWorld& world) {
  auto connection = co_await world.spdy("/exec/default/web/a?input=1&output=1&command=cat");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  const std::string piece(32 * 1024, 'x');
  TaskGroup tasks(co_await asio::this_coro::executor);
  std::size_t given = 0;
  struct Feeder {
    static Task<> feed(std::shared_ptr<MultiplexedStream> to, std::string piece, std::size_t& given) {
      for (int i = 0; i < 2000; ++i) {
        auto sent = co_await to->write(piece);
        if (!sent) co_return;
        given += piece.size();
      }
      (void)co_await to->shutdown_write();
    }
  };
  tasks.spawn("feed", Feeder::feed(in, piece, given));
  std::size_t before = 1;
  for (int calm = 0; calm < 30;) {
    co_await sleep_for(std::chrono::milliseconds(2));
    calm = given == before ? calm + 1 : 0;
    before = given;
  }
  CHECK(given < 32u << 20);  // mostly the kernel's buffers
  CHECK(world.fate->most_held < 512 * 1024);
  auto all = co_await read_all(*out);
  REQUIRE(all);
  CHECK(all->size() == 2000 * piece.size());
  co_await tasks.stop();
  co_await connection->close(std::chrono::seconds(1));
}

Task<> runs(StreamWorld& world) {
  StreamAnswer answer = co_await world.ask("/run/default/web/a?cmd=ls+-l", "", "GET");
  CHECK(answer.status == 405);
  CHECK(world.started.empty());
  world.fate->exit_code = 0;
  answer = co_await world.ask("/run/default/web/a?cmd=ls+-l", "");
  CHECK(answer.status == 200);
  CHECK(answer.body == "bye");
  CHECK(world.specs.at(0).command == std::vector<std::string>{"ls", "-l"});
  CHECK_FALSE(world.specs.at(0).has_stdin);
  world.fate->exit_code = 1;
  answer = co_await world.ask("/run/default/web/a?cmd=false", "");
  CHECK(answer.status == 500);
  CHECK(answer.body == "command 'false' exited with 1: bye\n");
  CHECK_FALSE(world.fate->is_killed);
}

Task<> ask_and_leave(StreamWorld& world, std::string target) { (void)co_await world.ask(std::move(target), ""); }

Task<> runs_alone(StreamWorld& world) {
  world.fate->ignores_end = true;
  {
    TaskGroup tasks(co_await asio::this_coro::executor);
    tasks.spawn("client", ask_and_leave(world, "/run/default/web/a?cmd=sleep+9"));
    const bool has_begun = co_await comes_true([&world] { return !world.started.empty(); });
    CHECK(has_begun);
    CHECK_FALSE(world.fate->is_killed);
    co_await tasks.stop();  // which gives the request up
  }
  const bool is_killed = co_await comes_true([&world] { return world.fate->is_killed && world.fate->is_gone; });
  CHECK(is_killed);
  const bool is_over = co_await comes_true([&world] { return world.server->stream_sessions() == 0; });
  CHECK(is_over);
}

// The kubelet that stops is no client that left.
Task<> run_stopped(StreamWorld& world) {
  world.fate->ignores_end = true;
  StreamAnswer answer;
  struct Client {
    static Task<> ask(StreamWorld& world, StreamAnswer& answer) {
      answer = co_await world.ask("/run/default/web/a?cmd=sleep+9", "");
    }
  };
  TaskGroup tasks(co_await asio::this_coro::executor);
  tasks.spawn("client", Client::ask(world, answer));
  const bool has_begun = co_await comes_true([&world] { return !world.started.empty(); });
  CHECK(has_begun);
  co_await world.server->stop();
  const bool is_told = co_await comes_true([&answer] { return answer.status != 0; });
  CHECK(is_told);
  CHECK(answer.body == "the kubelet is stopping\n");
  CHECK(world.fate->is_gone);
  CHECK_FALSE(world.fate->is_killed);
  co_await tasks.stop();
}

Task<> last_words(StreamWorld& world, bool is_engine_word) {
  world.fate->complaint = "Error: write unixpacket @->/proc/self/fd/16/attach: write: connection reset by peer\n";
  world.fate->is_engine_word = is_engine_word;
  auto connection = co_await world.spdy("/exec/default/web/a?input=1&output=1&error=1&command=cat");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  auto err = co_await open(connection, "stderr");
  co_await say(*in, "x");
  co_await finish(*in);
  auto said = co_await read_all(*out);
  REQUIRE(said);
  CHECK(*said == "x");
  auto complained = co_await read_all(*err);
  REQUIRE(complained);
  CHECK(*complained == (is_engine_word ? std::string() : world.fate->complaint));
  co_await connection->close(std::chrono::seconds(1));
}
Task<> engine_words(StreamWorld& world) { return last_words(world, true); }
Task<> own_words(StreamWorld& world) { return last_words(world, false); }

Task<> counted(StreamWorld& world) {
  world.api.allowed_subresources = {"proxy", "metrics"};
  const std::string labels = R"({long_running="true",method="POST",path="exec",server_type="readwrite"} )";
  const std::string in_flight = "kubelet_http_inflight_requests" + labels, ended = "kubelet_http_requests_duration_seconds_count" + labels;
  auto connection = co_await world.spdy("/exec/default/web/a?input=1&output=1&command=cat");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  co_await say(*in, "x");
  (void)co_await out->read_some();
  StreamAnswer answer = co_await world.ask("/metrics", "", "GET");
  CHECK(answer.body.find(in_flight + "1\n") != std::string::npos);
  CHECK(answer.body.find(ended + "0\n") != std::string::npos);
  co_await connection->close(std::chrono::seconds(1));
  const bool is_over = co_await comes_true([&world] { return world.server->stream_sessions() == 0; });
  CHECK(is_over);
  answer = co_await world.ask("/metrics", "", "GET");
  CHECK(answer.body.find(in_flight + "0\n") != std::string::npos);
  CHECK(answer.body.find(ended + "1\n") != std::string::npos);
}

// Who takes an attachment and is cancelled while the kubelet still has its hands on it.
Task<> taken_in_vain(StreamWorld& world) {
  const auto executor = co_await asio::this_coro::executor;
  Attachments attachments(executor);
  auto given = std::make_unique<Attachment>();
  given->session = std::make_unique<FakeProcess>(executor, world.fate, false, true);
  attachments.keep("c1", std::move(given));
  co_await sleep_for(std::chrono::milliseconds(1));  // it reads
  struct Taker {
    static Task<> take(Attachments& from, bool& has_one) { has_one = (co_await from.take("c1")) != nullptr; }
  };
  bool has_one = false;
  TaskGroup tasks(executor);
  tasks.spawn("take", Taker::take(attachments, has_one));
  co_await tasks.stop();
  CHECK_FALSE(has_one);
  const bool is_back = co_await comes_true([&attachments] { return attachments.size() == 1; });
  CHECK(is_back);
  CHECK_FALSE(world.fate->is_gone);
  auto again = co_await attachments.take("c1");
  REQUIRE(again);
  co_await say(again->session->stream(), "still here");
  auto said = co_await again->session->stream().read_some();
  REQUIRE(said);
  CHECK(said->ends_with("still here"));
  co_await attachments.stop();
}

Task<> stopped(StreamWorld& world) {
  auto connection = co_await world.spdy("/exec/default/web/a?input=1&output=1&command=cat");
  auto error = co_await open(connection, "error");
  auto in = co_await open(connection, "stdin");
  auto out = co_await open(connection, "stdout");
  co_await say(*in, "x");
  (void)co_await out->read_some();
  co_await world.server->stop();
  CHECK(world.fate->is_gone);
  co_await connection->wait_closed();
  co_await connection->close(std::chrono::milliseconds(100));
}

// The command has ended, and its client neither reads on nor closes.
Task<> stopped_late(StreamWorld& world) {
  StreamAnswer answer = co_await world.ask("/exec/default/web/a?output=1&command=cat", "v4.channel.k8s.io");
  REQUIRE(answer.status == 101);
  http::SpdyCodec codec;
  std::string out;
  for (const auto& [id, type] : {std::pair<std::uint32_t, const char*>{1, "error"}, {3, "stdout"}}) {
    http::Headers headers;
    headers.add("streamtype", type);
    codec.syn_stream(out, id, headers);
  }
  co_await say(*answer.stream, out);
  const bool is_gone = co_await comes_true([&world] { return world.fate->is_gone; });
  CHECK(is_gone);
  const auto begin = std::chrono::steady_clock::now();
  co_await world.server->stop();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1500));  // less than it lingers
}

}  // namespace

TEST_CASE("exec through the kubelet: command, streams, half-close and exit code") { in_world(exec_whole); }
TEST_CASE("exec through the kubelet over WebSocket") { in_world(over_websocket); }
TEST_CASE("200 execs at once through the kubelet get their own output and exit codes") { in_world(many); }
TEST_CASE("exec, attach and port-forward that cannot be are refused in the kubelet's words") {
  in_world(refusals);
}
TEST_CASE("streams need nodes/proxy") {
  using Names = std::vector<std::string>;
  for (const char* path : {"/exec/a/b/c", "/attach/a/b/c", "/run/a/b/c", "/portForward/a/b"})
    CHECK(node_subresources(path) == Names{"proxy"});
  CHECK(node_subresources("/statusz") == Names{"statusz"});
  CHECK(node_subresources("/flagz") == Names{"configz"});
  in_world(forbidden);
}
TEST_CASE("a terminal is resized as soon as there is one, and lives on without input") { in_world(terminal); }
TEST_CASE("attach through the kubelet ends with success") { in_world(attaches); }
TEST_CASE("a container's input that is to stay open outlives those who attach") { in_world(attaches_again); }
TEST_CASE("an exec that the runtime refuses is told as an internal error") { in_world(failing); }
TEST_CASE("a client that goes ends its command's input") { in_world(dropped); }
TEST_CASE("a command that runs on without its client is killed") { in_world(dropped_stubborn); }
TEST_CASE("a client that leaves an attach leaves the container running") { in_world(dropped_attach); }
TEST_CASE("a client that does not read holds its process back") { in_world(slow); }
TEST_CASE("run answers with what the command wrote") { in_world(runs); }
TEST_CASE("a command of run whose client goes is killed") { in_world(runs_alone); }
TEST_CASE("a command of run goes on without the kubelet, and its client is told") { in_world(run_stopped); }
TEST_CASE("the engine's complaint about unread input is no output") { in_world(engine_words); }
TEST_CASE("a command's words that look like an engine's are its output") { in_world(own_words); }
TEST_CASE("a stream counts as a request in flight until its session has ended") { in_world(counted); }
TEST_CASE("an attachment that is taken in vain waits for the next client") { in_world(taken_in_vain); }
TEST_CASE("the kubelet's end ends its sessions") { in_world(stopped); }
TEST_CASE("the kubelet's end ends a session that waits for its client to close") { in_world(stopped_late); }
