#include "http/streams/spdy_headers.h"

#include <zlib.h>

#include <array>
#include <map>

namespace rusternetes::http {
namespace {

constexpr std::size_t kBlockLimit = 4 * 1024;
constexpr std::uint32_t kFieldLimit = 64;

// The dictionary's words, each of which it holds behind its length in four bytes.
constexpr std::string_view kWords[] = {"options",
                                       "head",
                                       "post",
                                       "put",
                                       "delete",
                                       "trace",
                                       "accept",
                                       "accept-charset",
                                       "accept-encoding",
                                       "accept-language",
                                       "accept-ranges",
                                       "age",
                                       "allow",
                                       "authorization",
                                       "cache-control",
                                       "connection",
                                       "content-base",
                                       "content-encoding",
                                       "content-language",
                                       "content-length",
                                       "content-location",
                                       "content-md5",
                                       "content-range",
                                       "content-type",
                                       "date",
                                       "etag",
                                       "expect",
                                       "expires",
                                       "from",
                                       "host",
                                       "if-match",
                                       "if-modified-since",
                                       "if-none-match",
                                       "if-range",
                                       "if-unmodified-since",
                                       "last-modified",
                                       "location",
                                       "max-forwards",
                                       "pragma",
                                       "proxy-authenticate",
                                       "proxy-authorization",
                                       "range",
                                       "referer",
                                       "retry-after",
                                       "server",
                                       "te",
                                       "trailer",
                                       "transfer-encoding",
                                       "upgrade",
                                       "user-agent",
                                       "vary",
                                       "via",
                                       "warning",
                                       "www-authenticate",
                                       "method",
                                       "get",
                                       "status",
                                       "200 OK",
                                       "version",
                                       "HTTP/1.1",
                                       "url",
                                       "public",
                                       "set-cookie",
                                       "keep-alive",
                                       "origin"};
// And what it holds bare.
constexpr std::string_view kTail =
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void append_number(std::string& out, std::size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xff);
}

void append_counted(std::string& out, std::string_view text) {
  append_number(out, text.size());
  out.append(text);
}

Bytef* bytes_of(std::string_view text) { return reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); }

Status bad_block(const char* why) {
  return Status{400, "BadRequest", std::string("SPDY header block: ") + why};
}

// Reads counted texts out of a block.
class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}
  bool number(std::uint32_t& to) {
    if (rest_.size() < 4) return false;
    to = 0;
    for (int i = 0; i < 4; ++i) to = to << 8 | static_cast<unsigned char>(rest_[static_cast<std::size_t>(i)]);
    rest_.remove_prefix(4);
    return true;
  }
  bool text(std::string_view& to) {
    std::uint32_t size = 0;
    if (!number(size) || size > rest_.size()) return false;
    to = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

Result<Headers> parse(std::string_view block) {
  Cursor cursor(block);
  Headers headers;
  std::uint32_t count = 0;
  if (!cursor.number(count)) return bad_block("too short");
  if (count > kFieldLimit) return bad_block("too many fields");
  for (std::uint32_t i = 0; i < count; ++i) {
    std::string_view name, values;
    if (!cursor.text(name) || !cursor.text(values)) return bad_block("too short");
    if (name.empty()) return bad_block("a field without a name");
    // A NUL separates the values of one name.
    for (bool is_last = false; !is_last;) {
      const auto end = values.find('\0');
      is_last = end == std::string_view::npos;
      headers.add(std::string(name), std::string(values.substr(0, end)));
      if (headers.fields().size() > kFieldLimit) return bad_block("too many fields");
      if (!is_last) values.remove_prefix(end + 1);
    }
  }
  if (!cursor.is_at_end()) return bad_block("bytes behind the last field");
  return headers;
}

}  // namespace

std::string_view spdy_dictionary() {
  static const std::string dictionary = [] {
    std::string made;
    for (const auto word : kWords) append_counted(made, word);
    return made.append(kTail);
  }();
  return dictionary;
}

// --- encoder

struct SpdyHeaderEncoder::Stream {
  z_stream z{};
  // A window just larger than the dictionary: a server says next to nothing in headers, and zlib's usual 268
  // KB a connection would be most of what a connection takes.
  Stream() {
    RN_ASSERT(::deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) == Z_OK,
              "deflateInit2");
    const auto dictionary = spdy_dictionary();
    RN_ASSERT(::deflateSetDictionary(&z, bytes_of(dictionary), static_cast<uInt>(dictionary.size())) == Z_OK,
              "deflateSetDictionary");
  }
  ~Stream() { ::deflateEnd(&z); }
};

SpdyHeaderEncoder::SpdyHeaderEncoder() = default;
SpdyHeaderEncoder::~SpdyHeaderEncoder() = default;

void SpdyHeaderEncoder::encode(std::string& out, const Headers& headers) {
  if (!stream_) stream_ = std::make_unique<Stream>();
  std::map<std::string_view, std::string> joined;
  for (const auto& [name, value] : headers.fields()) {
    const auto [at, is_new] = joined.emplace(name, value);
    if (!is_new) at->second.append(1, '\0').append(value);
  }
  std::string plain;
  append_number(plain, joined.size());
  for (const auto& [name, value] : joined) {
    append_counted(plain, name);
    append_counted(plain, value);
  }
  z_stream& z = stream_->z;
  z.next_in = bytes_of(plain);
  z.avail_in = static_cast<uInt>(plain.size());
  std::array<char, 1024> piece;
  do {
    z.next_out = reinterpret_cast<Bytef*>(piece.data());
    z.avail_out = static_cast<uInt>(piece.size());
    ::deflate(&z, Z_SYNC_FLUSH);
    out.append(piece.data(), piece.size() - z.avail_out);
  } while (z.avail_out == 0);
}

// --- decoder

struct SpdyHeaderDecoder::Stream {
  z_stream z{};
  Stream() { RN_ASSERT(::inflateInit(&z) == Z_OK, "inflateInit"); }
  ~Stream() { ::inflateEnd(&z); }
};

SpdyHeaderDecoder::SpdyHeaderDecoder() = default;
SpdyHeaderDecoder::~SpdyHeaderDecoder() = default;

Result<Headers> SpdyHeaderDecoder::decode(std::string_view block) {
  if (!stream_) stream_ = std::make_unique<Stream>();
  z_stream& z = stream_->z;
  z.next_in = bytes_of(block);
  z.avail_in = static_cast<uInt>(block.size());
  std::string plain;
  std::array<char, 4096> piece;
  for (;;) {
    z.next_out = reinterpret_cast<Bytef*>(piece.data());
    z.avail_out = static_cast<uInt>(piece.size());
    int done = ::inflate(&z, Z_SYNC_FLUSH);
    if (done == Z_NEED_DICT) {
      const auto dictionary = spdy_dictionary();
      if (::inflateSetDictionary(&z, bytes_of(dictionary), static_cast<uInt>(dictionary.size())) != Z_OK)
        return bad_block("another dictionary");
      continue;
    }
    plain.append(piece.data(), piece.size() - z.avail_out);
    if (plain.size() > kBlockLimit) return bad_block("too large");
    if (done == Z_STREAM_END) return bad_block("the compression has ended");
    if (done != Z_OK && done != Z_BUF_ERROR) return bad_block("broken compression");
    if (z.avail_in == 0 && z.avail_out != 0) return parse(plain);
    if (done == Z_BUF_ERROR && z.avail_out != 0) return bad_block("broken compression");
  }
}

}  // namespace rusternetes::http
