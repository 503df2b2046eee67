#include "launcher/components/image_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "launcher/components/engine.h"

using namespace rusternetes;
using namespace rusternetes::launcher;
namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "archive-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
};

fs::path write_tar(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& files,
                   bool is_packed = false) {
  archive* out = archive_write_new();
  archive_write_set_format_pax_restricted(out);
  if (is_packed) archive_write_add_filter_gzip(out);
  REQUIRE(archive_write_open_filename(out, path.c_str()) == ARCHIVE_OK);
  for (const auto& [name, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    REQUIRE(archive_write_header(out, entry) == ARCHIVE_OK);
    archive_write_data(out, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_free(out);
  return path;
}

std::string why(const fs::path& path) {
  const auto checked = check_image_archive(path);
  return checked ? "" : checked.error().message.substr(path.string().size() + 1);
}

}  // namespace

TEST_CASE("an archive of images is taken packed or not, and what is none is told from what is damaged") {
  Folder folder;
  const std::string layer(300'000, 'x');
  for (const bool is_packed : {false, true}) {
    INFO(is_packed);
    const fs::path good =
        write_tar(folder.path / "good.tar", {{"./layer.tar", layer}, {"manifest.json", "[]"}}, is_packed);
    CHECK(why(good) == "");
    CHECK(why(write_tar(folder.path / "oci.tar", {{"oci-layout", "{}"}, {"index.json", "{}"}}, is_packed)) ==
          "");
    CHECK(why(write_tar(folder.path / "other.tar", {{"a.txt", layer}}, is_packed)) ==
          "has no image in it: neither manifest.json nor index.json");
    const auto size = fs::file_size(good);
    fs::resize_file(good, size / 2);
    CHECK(why(good) == "is cut off: it ends in the midst of a file");
  }
  std::ofstream(folder.path / "text") << std::string(2000, 'y');
  CHECK(why(folder.path / "text") == "is not a tar archive");
  std::ofstream(folder.path / "empty") << "";
  CHECK(why(folder.path / "empty") == "is empty");
  CHECK(why(folder.path) == "is a folder, not an archive");
  CHECK(check_image_archive(folder.path / "nowhere").error().is("NotFound"));
  CHECK(check_image_archive(folder.path / "text").error().is("BadArchive"));
}

TEST_CASE("a file is sent in pieces, with its length and its progress") {
  Folder folder;
  const std::string socket = (folder.path / "s").string();
  const fs::path file = folder.path / "file";
  std::ofstream(file) << "head";
  fs::resize_file(file, 40'000'000);  // with a hole, so that the disk need not hold it
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socket.copy(name.sun_path, sizeof name.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  std::string head;
  std::size_t body = 0;
  std::thread server([&] {
    const int peer = ::accept(listener, nullptr, nullptr);
    std::vector<char> piece(1 << 20);
    std::size_t end = std::string::npos;
    while (body < 40'000'000) {
      const ssize_t got = ::read(peer, piece.data(), piece.size());
      if (got <= 0) break;
      if (end != std::string::npos) {
        body += static_cast<std::size_t>(got);
        continue;
      }
      head.append(piece.data(), static_cast<std::size_t>(got));
      end = head.find("\r\n\r\n");
      if (end != std::string::npos) body = head.size() - end - 4;
    }
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    (void)!::write(peer, answer.data(), answer.size());
    ::close(peer);
  });
  std::uint64_t last = 0;
  bool has_grown = true;
  const auto answer = upload_file(socket, "/v1/load", file, [&](std::uint64_t sent, std::uint64_t all) {
    has_grown = has_grown && sent >= last && all == 40'000'000;
    last = sent;
  });
  server.join();
  ::close(listener);
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->body == "{}");
  CHECK(body == 40'000'000);
  CHECK(last == 40'000'000);
  CHECK(has_grown);
  CHECK(head.starts_with("POST /v1/load HTTP/1.1\r\n"));
  CHECK(head.find("Content-Length: 40000000\r\n") != std::string::npos);
  fs::remove(socket);
  CHECK(upload_file(socket, "/v1/load", file, {}).error().is("EngineUnreachable"));
}

TEST_CASE("both engines' words for what they loaded are read") {
  CHECK(loaded_names("Loaded image: localhost/a:1\nLoaded image: b:2\n") ==
        std::vector<std::string>{"localhost/a:1", "docker.io/library/b:2"});
  CHECK(loaded_names("Loaded image: localhost/a:1,localhost/b:1") ==
        std::vector<std::string>{"localhost/a:1", "localhost/b:1"});
  CHECK(loaded_names("").empty());
}
