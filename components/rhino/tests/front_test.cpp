// Who gets which connection, by its first bytes, and what becomes of those that say nothing.

#include "rhino/front.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "support/folder.h"
#include "tcp_client.h"

using namespace rusternetes;
using namespace rusternetes::rhino;
using namespace rusternetes::rhino::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// What OpenSSL says first. `protocols` in wire form.
std::string client_hello(std::string_view protocols) {
  std::unique_ptr<SSL_CTX,
      decltype(&::SSL_CTX_free)> context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  std::unique_ptr<SSL, decltype(&::SSL_free)> ssl(::SSL_new(context.get()), &::SSL_free);
  ::SSL_set_bio(ssl.get(), ::BIO_new(::BIO_s_mem()), ::BIO_new(::BIO_s_mem()));
  if (!protocols.empty())
    ::SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
  ::SSL_connect(ssl.get());
  char* bytes = nullptr;
  const long length = BIO_get_mem_data(::SSL_get_wbio(ssl.get()), &bytes);
  return std::string(bytes, static_cast<std::size_t>(length));
}

// The same message in records of `size` bytes.
std::string cut_records(const std::string& record, std::size_t size) {
  std::string out;
  for (std::size_t at = 5; at < record.size(); at += size) {
    const auto piece = record.substr(at, size);
    out += record.substr(0, 3);
    out += static_cast<char>(piece.size() >> 8);
    out += static_cast<char>(piece.size() & 0xff);
    out += piece;
  }
  return out;
}

// A front that only writes down who would have got what.
struct Recorder {
  explicit Recorder(FrontDoor::Serves serves = FrontDoor::Serves::grpc_and_http, bool plain = true,
                    bool tls = false,
                    std::chrono::milliseconds patience = 10s, std::size_t most = 1024) {
    auto socket = listen_on(parse_urls("http://127.0.0.1:0").urls.at(0));
    REQUIRE(socket);
    port = static_cast<std::uint16_t>(std::stoi(socket->url.port()));
    Front::Options options;
    options.to_grpc = [this](int fd, bool is_tls) { note(fd, is_tls ? "grpc+tls" : "grpc"); };
    options.to_http = [this](int fd, bool is_tls, bool is_metrics) {
      note(fd, std::string(is_metrics ? "metrics" : "http") + (is_tls ? "+tls" : ""));
    };
    options.patience = patience;
    options.most_undecided = most;
    front = std::make_unique<Front>(std::move(options),
                                    std::vector<FrontDoor>{{*socket, serves, plain, tls}});
    REQUIRE(front->start());
  }
  ~Recorder() {
    front->stop();
    for (const int fd : descriptors) ::close(fd);
  }
  void note(int fd, std::string what) {
    // Nothing has been read off it.
    char buffer[64];
    const auto length = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    std::lock_guard lock(mutex);
    descriptors.push_back(fd);
    first_bytes.push_back(length > 0 ? std::string(buffer, static_cast<std::size_t>(length)) : "");
    given.push_back(std::move(what));
    changed.notify_all();
  }
  std::string next() {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, 10s, [this] { return given.size() > taken; })) return "nothing";
    return given[taken++];
  }
  bool has_undecided(std::size_t count) {
    return eventually([this, count] { return front->undecided() == count; });
  }
  std::uint16_t port = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> descriptors;
  std::vector<std::string> given, first_bytes;
  std::size_t taken = 0;
  std::unique_ptr<Front> front;
};

}  // namespace

TEST_CASE("plain text is told apart as soon as it can be, and no sooner") {
  for (std::size_t length = 0; length < preface.size(); ++length)
    CHECK(classify_plain(preface.substr(0, length)) == FirstBytes::undecided);
  CHECK(classify_plain(preface) == FirstBytes::grpc);
  CHECK(classify_plain(std::string(preface) + "more") == FirstBytes::grpc);
  CHECK(classify_plain("G") == FirstBytes::http);
  CHECK(classify_plain("POST /") == FirstBytes::http);
  CHECK(classify_plain("PRI * HTTP/1.1\r\n") == FirstBytes::http);
}

TEST_CASE("a ClientHello's ALPN list says which server it is for") {
  CHECK(classify_tls(client_hello("\x02h2")) == FirstBytes::grpc);
  CHECK(classify_tls(client_hello("\x08grpc-exp\x02h2")) == FirstBytes::grpc);
  CHECK(classify_tls(client_hello("\x02h2\x08http/1.1")) == FirstBytes::http);
  CHECK(classify_tls(client_hello("\x08http/1.1")) == FirstBytes::http);
  CHECK(classify_tls(client_hello("")) == FirstBytes::http);
  CHECK(classify_tls("GET / HTTP/1.1\r\n") == FirstBytes::http);
}

TEST_CASE("a ClientHello in pieces is waited for, however it is cut") {
  const auto hello = client_hello("\x02h2");
  for (std::size_t length = 0; length < hello.size(); ++length) {
    INFO(length);
    REQUIRE(classify_tls(std::string_view(hello).substr(0, length)) == FirstBytes::undecided);
  }
  for (const std::size_t size : {1, 3, 5, 100, 400}) {
    const auto records = cut_records(hello, size);
    INFO(size);
    CHECK(classify_tls(records) == FirstBytes::grpc);
    for (std::size_t length = 0; length < records.size(); ++length)
      REQUIRE(classify_tls(std::string_view(records).substr(0, length)) == FirstBytes::undecided);
  }
}

TEST_CASE("a damaged ClientHello never keeps a connection undecided for ever") {
  const auto hello = client_hello("\x02h2");
  for (std::size_t i = 0; i < hello.size(); ++i)
    for (const char damage : {'\x00', '\x7f', '\xff'}) {
      auto copy = hello;
      copy[i] = damage;
      copy.resize(most_first_bytes, '\0');  // whatever lengths it names, no more is waited for
      REQUIRE(classify_tls(copy) != FirstBytes::undecided);
    }
}

TEST_CASE("a connection goes to the server that its first bytes ask for, with nothing read") {
  Recorder recorder;
  TcpClient grpc(recorder.port), http(recorder.port);
  grpc.send(preface);
  CHECK(recorder.next() == "grpc");
  http.send("GET /health HTTP/1.1\r\n\r\n");
  CHECK(recorder.next() == "http");
  CHECK(recorder.first_bytes[0] == preface);
  CHECK(recorder.first_bytes[1] == "GET /health HTTP/1.1\r\n\r\n");
}

TEST_CASE("first bytes that come one by one keep nobody else waiting") {
  Recorder recorder;
  TcpClient slow(recorder.port);
  for (const char c : preface.substr(0, preface.size() - 1)) slow.send(std::string(1, c));
  CHECK(recorder.has_undecided(1));
  TcpClient quick(recorder.port);
  quick.send("GET / HTTP/1.1\r\n\r\n");
  CHECK(recorder.next() == "http");
  slow.send("\n");
  CHECK(recorder.next() == "grpc");
  CHECK(recorder.has_undecided(0));
}

TEST_CASE("a connection that says nothing is closed") {
  Recorder recorder(FrontDoor::Serves::grpc_and_http, true, false, 200ms);
  TcpClient silent(recorder.port), halting(recorder.port);
  halting.send("PRI * HT");
  CHECK(silent.is_closed_by_peer());
  CHECK(halting.is_closed_by_peer());
  CHECK(recorder.front->undecided() == 0);
  CHECK(recorder.given.empty());
}

TEST_CASE("a connection that ends before it says anything is forgotten") {
  Recorder recorder;
  {
    TcpClient client(recorder.port);
    REQUIRE(recorder.has_undecided(1));
  }
  CHECK(recorder.has_undecided(0));
}

TEST_CASE("of too many that say nothing the oldest goes") {
  Recorder recorder(FrontDoor::Serves::grpc_and_http, true, false, 60s, 8);
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<TcpClient>(recorder.port));
  REQUIRE(recorder.has_undecided(8));
  clients.push_back(std::make_unique<TcpClient>(recorder.port));
  CHECK(clients.front()->is_closed_by_peer());
  CHECK(recorder.has_undecided(8));
  clients.back()->send("GET / HTTP/1.1\r\n\r\n");
  CHECK(recorder.next() == "http");
}

TEST_CASE("a thousand connections find their servers") {
  Recorder recorder;
  std::vector<std::unique_ptr<TcpClient>> clients;
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(std::make_unique<TcpClient>(recorder.port));
    clients.back()->send(i % 2 ? preface : "GET / HTTP/1.1\r\n\r\n");
  }
  int grpc = 0, http = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto given = recorder.next();
    grpc += given == "grpc";
    http += given == "http";
  }
  CHECK(grpc == 500);
  CHECK(http == 500);
}

TEST_CASE("a door for one kind alone needs no words, and one for both kinds of text tells TLS") {
  {
    Recorder recorder(FrontDoor::Serves::grpc);
    TcpClient client(recorder.port);
    CHECK(recorder.next() == "grpc");
  }
  {
    Recorder recorder(FrontDoor::Serves::metrics, false, true);
    TcpClient client(recorder.port);
    CHECK(recorder.next() == "metrics+tls");
  }
  Recorder recorder(FrontDoor::Serves::grpc_and_http, true, true);
  TcpClient plain(recorder.port), tls(recorder.port);
  plain.send(preface);
  CHECK(recorder.next() == "grpc");
  tls.send(client_hello("\x02h2"));
  CHECK(recorder.next() == "grpc+tls");
}

TEST_CASE("a port that is taken is an error that names the URL") {
  const auto first = listen_on(parse_urls("http://127.0.0.1:0").urls.at(0));
  REQUIRE(first);
  const auto second = listen_on(first->url);
  REQUIRE(!second);
  CHECK(second.error().message.find("listen on " + first->url.text()) == 0);
  ::close(first->fd);
}

TEST_CASE("an old socket file is replaced, and the wildcard takes both families") {
  const rusternetes::testing::Folder folder("rhino-front");
  const auto url = parse_urls("unix://" + folder.file("x.sock")).urls.at(0);
  const auto first = listen_on(url);
  REQUIRE(first);
  ::close(first->fd);
  const auto second = listen_on(url);
  REQUIRE(second);
  ::close(second->fd);
  const auto wildcard = listen_on(parse_urls("http://0.0.0.0:0").urls.at(0));
  REQUIRE(wildcard);
  TcpClient client(static_cast<std::uint16_t>(std::stoi(wildcard->url.port())));
  CHECK(client.is_connected());
  ::close(wildcard->fd);
}
