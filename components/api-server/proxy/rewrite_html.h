#pragma once
// Links in an HTML page that passes through a proxy, so that what the page refers to is asked for through the proxy as well
// (apimachinery/pkg/util/proxy Transport). Works on pieces as they come; text, comments, scripts and whatever is not an
// attribute with a URL pass unchanged.

#include <memory>
#include <string>
#include <string_view>

#include "api-server/proxy/proxy_path.h"
#include "base/status.h"

namespace rusternetes::api_server {

class HtmlRewriter {
 public:
  explicit HtmlRewriter(LinkRewriter links) : links_(std::move(links)) {}
  // What can be passed on so far. Holds back at most one tag, of at most 64 KiB; a longer one passes as it is. Looks at each
  // byte once, however the page is cut. A link of a few bytes may grow by the whole prefix: give slices, not pages.
  std::string feed(std::string_view bytes);
  // What was held back.
  std::string finish();

 private:
  enum class State { text, comment, raw_text, long_tag };
  bool step(std::string& out, bool is_end);
  bool step_text(std::string& out, bool is_end);
  bool step_tag(std::string& out, bool is_end);
  bool scan_tag();
  void pass(std::string& out, std::size_t count);
  void rewrite_tag(std::string& out, std::string_view tag);

  LinkRewriter links_;
  State state_ = State::text;
  std::string raw_element_;  // ends with its own end tag only
  std::string held_;
  std::size_t at_ = 0;  // of held_, what has passed
  // How far the tag that begins at at_ has been looked at, and what is known of its last byte.
  std::size_t scanned_ = 0;
  char quote_ = 0;
  bool is_value_ = false;  // a quote counts only at the beginning of a value
};

// The same for a page that is compressed with gzip.
class GzipHtmlRewriter {
 public:
  explicit GzipHtmlRewriter(LinkRewriter links);
  ~GzipHtmlRewriter();
  // Takes `bytes` in and goes on by at most 64 KiB of the page, however small it was packed: feed({}) again while has_more().
  Result<std::string> feed(std::string_view bytes);
  bool has_more() const { return has_more_; }
  Result<std::string> finish();

 private:
  struct Streams;
  std::string deflate(std::string_view page, bool is_end);
  HtmlRewriter rewriter_;
  std::unique_ptr<Streams> streams_;
  std::string input_;
  std::size_t used_ = 0;  // of input_
  bool has_more_ = false;
};

}  // namespace rusternetes::api_server
