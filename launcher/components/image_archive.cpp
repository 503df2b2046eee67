#include "launcher/components/image_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "launcher/failure.h"

namespace rusternetes::launcher {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t piece_size = 256 << 10;
constexpr std::size_t answer_limit = 16 << 20;
constexpr long answer_timeout_s = 30 * 60;  // unpacking a large image takes an engine minutes

class File {
 public:
  static Result<File> open(const fs::path& path) {
    File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd_ < 0 && errno == ENOENT)
      return failure("NotFound", fmt::format("there is no file {}", path.string()));
    if (file.fd_ < 0)
      return failure("BadArchive", fmt::format("{} cannot be read: {}", path.string(), std::strerror(errno)));
    struct stat info {};
    if (::fstat(file.fd_, &info) != 0) return errno_error("stat " + path.string(), errno);
    if (!S_ISREG(info.st_mode))
      return failure("BadArchive", fmt::format("{} is {}, not an archive", path.string(),
                                               S_ISDIR(info.st_mode) ? "a folder" : "no regular file"));
    file.size_ = static_cast<std::uint64_t>(info.st_size);
    return file;
  }
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  std::uint64_t size() const { return size_; }

 private:
  explicit File(int fd) : fd_(fd) {}
  int fd_;
  std::uint64_t size_ = 0;
};

ssize_t read_piece(int fd, void* buffer, std::size_t size) {
  for (;;) {
    const ssize_t got = ::read(fd, buffer, size);
    if (got >= 0 || errno != EINTR) return got;
  }
}

struct Source {
  const File& file;
  std::unique_ptr<char[]> buffer = std::make_unique<char[]>(piece_size);
};

la_ssize_t next_piece(archive*, void* data, const void** buffer) {
  auto& source = *static_cast<Source*>(data);
  *buffer = source.buffer.get();
  return read_piece(source.file.fd(), source.buffer.get(), piece_size);
}

// Passing over the content of an entry costs no reading. Never beyond the end: what is missing there must be
// noticed.
la_int64_t skip(archive*, void* data, la_int64_t wanted) {
  auto& source = *static_cast<Source*>(data);
  const off_t at = ::lseek(source.file.fd(), 0, SEEK_CUR);
  const off_t left = static_cast<off_t>(source.file.size()) - at;
  if (at < 0 || wanted > left) return 0;
  return ::lseek(source.file.fd(), wanted, SEEK_CUR) < 0 ? 0 : wanted;
}

struct Close {
  void operator()(archive* one) const { archive_read_free(one); }
};

bool says_truncated(const char* text) {
  const std::string_view said = text == nullptr ? "" : text;
  return said.find("runcated") != std::string_view::npos;
}

// --- sending

struct Sending {
  const File& file;
  const std::function<void(std::uint64_t, std::uint64_t)>& on_progress;
  std::uint64_t sent = 0;
  std::string answer;
};

std::size_t give(char* buffer, std::size_t, std::size_t size, void* data) {
  auto& sending = *static_cast<Sending*>(data);
  const ssize_t got = read_piece(sending.file.fd(), buffer, size);
  if (got < 0) return CURL_READFUNC_ABORT;
  sending.sent += static_cast<std::uint64_t>(got);
  if (sending.on_progress) sending.on_progress(sending.sent, sending.file.size());
  return static_cast<std::size_t>(got);
}

std::size_t take(char* data, std::size_t, std::size_t size, void* out) {
  auto& sending = *static_cast<Sending*>(out);
  if (sending.answer.size() + size > answer_limit) return 0;
  sending.answer.append(data, size);
  return size;
}

}  // namespace

Result<> check_image_archive(const fs::path& path) {
  RN_TRY(const File file, File::open(path));
  const auto bad = [&](std::string_view what) {
    return failure("BadArchive", fmt::format("{} {}", path.string(), what));
  };
  if (file.size() == 0) return bad("is empty");
  Source source{file};
  const std::unique_ptr<archive, Close> reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_tar(reader.get());
  bool has_image = false;
  bool has_entry = false;
  int code = archive_read_open2(reader.get(), &source, nullptr, next_piece, skip, nullptr);
  for (archive_entry* entry = nullptr; code == ARCHIVE_OK || code == ARCHIVE_WARN;) {
    code = archive_read_next_header(reader.get(), &entry);
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) break;
    has_entry = true;
    const char* name = archive_entry_pathname(entry);
    std::string_view is = name == nullptr ? "" : name;
    if (is.starts_with("./")) is.remove_prefix(2);
    has_image = has_image || is == "manifest.json" || is == "index.json";
    code = archive_read_data_skip(reader.get());
  }
  if (code != ARCHIVE_EOF)
    return bad(says_truncated(archive_error_string(reader.get())) && has_entry
                   ? "is cut off: it ends in the midst of a file"
                   : "is not a tar archive");
  if (has_image) return {};
  return bad("has no image in it: neither manifest.json nor index.json");
}

Result<UploadAnswer> upload_file(const std::string& socket, const std::string& target, const fs::path& path,
                                 const std::function<void(std::uint64_t, std::uint64_t)>& on_progress) {
  RN_TRY(const File file, File::open(path));
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  Sending sending{file, on_progress};
  curl_slist* fields = curl_slist_append(nullptr, "Content-Type: application/x-tar");
  fields = curl_slist_append(fields, "Expect:");
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(fields, curl_slist_free_all);
  const std::string url = "http://engine" + target;
  curl_easy_setopt(curl.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl.get(), CURLOPT_POST, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(file.size()));
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(piece_size));
  curl_easy_setopt(curl.get(), CURLOPT_READFUNCTION, give);
  curl_easy_setopt(curl.get(), CURLOPT_READDATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &sending);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, answer_timeout_s);
  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  // An engine that refuses may answer and close before it has everything; then its answer counts.
  if (code == CURLE_COULDNT_CONNECT)
    return failure("EngineUnreachable", fmt::format("no engine answers on {}", socket));
  if (code != CURLE_OK && status < 400)
    return internal_error(
        fmt::format("sending {} to {}: {}", path.string(), socket, curl_easy_strerror(code)));
  return UploadAnswer{static_cast<int>(status), std::move(sending.answer)};
}

}  // namespace rusternetes::launcher
