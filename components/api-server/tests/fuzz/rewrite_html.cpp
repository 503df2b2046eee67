// Any bytes as a page of a proxied backend: however it is cut, and packed or not, the same comes out, no more of it than its links
// can grow. And any bytes as a packed page.

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api-server/proxy/rewrite_html.h"

using namespace rusternetes;
using namespace rusternetes::api_server;

namespace {

const std::string kPrefix = "/api/v1/namespaces/ns/pods/http:a&b:80/proxy";

// A longer tag passes as it is, unless it came in one piece.
constexpr std::size_t kLongestTag = 64 * 1024;

LinkRewriter links() { return LinkRewriter(kPrefix, "10.0.0.1:80", "api.example:6443"); }

std::string plain(std::string_view page, std::size_t piece) {
  HtmlRewriter rewriter(links());
  std::string out;
  for (; !page.empty(); page.remove_prefix(std::min(piece, page.size()))) out += rewriter.feed(page.substr(0, piece));
  return out + rewriter.finish();
}

// Empty: no gzip, or cut off.
std::string inflated(std::string_view packed) {
  std::string out;
  char buffer[32 * 1024];
  z_stream stream{};
  if (::inflateInit2(&stream, 15 + 16) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  int rc = Z_OK;
  while (rc == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    rc = ::inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  ::inflateEnd(&stream);
  return rc == Z_STREAM_END ? out : std::string();
}

std::string deflated(std::string_view page) {
  std::string out(::compressBound(page.size()) + 64, '\0');
  z_stream stream{};
  if (::deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(page.data()));
  stream.avail_in = static_cast<uInt>(page.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&stream, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(out.size() - stream.avail_out);
  ::deflateEnd(&stream);
  return out;
}

Result<std::string> packed(std::string_view page, std::size_t piece) {
  GzipHtmlRewriter rewriter(links());
  std::string out;
  while (!page.empty() || rewriter.has_more()) {
    const auto slice = rewriter.has_more() ? std::string_view() : page.substr(0, piece);
    RN_TRY(const auto some, rewriter.feed(slice));
    out += some;
    page.remove_prefix(slice.size());
    if (out.size() > (64u << 20)) std::abort();  // 1,000 times what a megabyte can hold
  }
  RN_TRY(const auto rest, rewriter.finish());
  return out + rest;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kLongestTag) return 0;
  const std::size_t piece = 1 + data[0] % 97;
  const std::string_view page(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[1] % 4 == 0) {
    (void)packed(page, piece);  // as it is, seldom gzip
    return 0;
  }
  const std::string whole = plain(page, page.size() + 1);
  if (plain(page, piece) != whole) std::abort();
  // The shortest link is two bytes behind "href=", and gets the prefix, escaped, and quotes.
  if (whole.size() > page.size() * (kPrefix.size() + 16)) std::abort();
  const auto through = packed(deflated(page), piece);
  if (!through || inflated(*through) != whole) std::abort();
  return 0;
}
