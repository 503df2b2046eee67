#include "launcher/adapters/curl_http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <deque>
#include <memory>

namespace rusternetes::launcher {
namespace {

constexpr std::size_t body_limit = 16 << 20;

curl_blob blob_over(const std::string& text) {
  return {const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
}

std::size_t append(char* data, std::size_t, std::size_t size, void* out) {
  auto& body = *static_cast<std::string*>(out);
  if (body.size() + size > body_limit) return 0;
  body.append(data, size);
  return size;
}

struct Lines {
  const std::function<bool(std::string_view)>& on_line;
  std::string rest;
  bool is_refused = false;
};

std::size_t split(char* data, std::size_t, std::size_t size, void* out) {
  auto& lines = *static_cast<Lines*>(out);
  if (lines.rest.size() + size > body_limit) return 0;
  lines.rest.append(data, size);
  for (;;) {
    const auto end = lines.rest.find('\n');
    if (end == std::string::npos) return size;
    const std::string line = lines.rest.substr(0, end);
    lines.rest.erase(0, end + 1);
    if (!lines.on_line(line)) {
      lines.is_refused = true;
      return 0;
    }
  }
}

using Headers = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// What the handle points to must live until curl_easy_perform returns: the blobs are the caller's.
struct Blobs {
  curl_blob authority, certificate, key;
};

Headers prepare(CURL* curl, const HttpRequest& request, Blobs& blobs) {
  curl_easy_reset(curl);  // keeps connections and sessions
  blobs = {blob_over(request.authority_pem), blob_over(request.certificate_pem), blob_over(request.key_pem)};
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // the cluster is this host
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, request.is_server_verified ? 1L : 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, request.is_server_verified ? 2L : 0L);
  if (request.is_last) curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
  if (!request.authority_pem.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blobs.authority);
  if (!request.certificate_pem.empty()) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT_BLOB, &blobs.certificate);
    curl_easy_setopt(curl, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(curl, CURLOPT_SSLKEY_BLOB, &blobs.key);
    curl_easy_setopt(curl, CURLOPT_SSLKEYTYPE, "PEM");
  }
  curl_slist* headers = curl_slist_append(nullptr, "Accept: application/json");
  if (!request.body.empty()) {
    headers = curl_slist_append(headers, ("Content-Type: " + request.content_type).c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  return {headers, curl_slist_free_all};
}

long status_of(CURL* curl) {
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

}  // namespace

CurlHttp::CurlHttp() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  handle_ = curl_easy_init();
}

CurlHttp::~CurlHttp() { curl_easy_cleanup(handle_); }

Result<HttpResponse> CurlHttp::send(const HttpRequest& request) {
  Blobs blobs;
  const Headers headers = prepare(handle_, request, blobs);
  HttpResponse answer;
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &answer.body);
  const CURLcode code = curl_easy_perform(handle_);
  if (code != CURLE_OK) return internal_error(fmt::format("{}: {}", request.url, curl_easy_strerror(code)));
  answer.status = static_cast<int>(status_of(handle_));
  return answer;
}

namespace {

// One of several requests under way.
struct Transfer {
  explicit Transfer(const HttpRequest& of) : request(of), handle(curl_easy_init()) {
    headers = prepare(handle, request, blobs);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer.body);
    curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
  }
  Transfer(const Transfer&) = delete;
  ~Transfer() { curl_easy_cleanup(handle); }

  const HttpRequest& request;
  CURL* handle;
  Blobs blobs{};
  Headers headers{nullptr, curl_slist_free_all};
  HttpResponse answer;
  CURLcode code = CURLE_ABORTED_BY_CALLBACK;
};

void run_all(std::deque<Transfer>& transfers) {
  CURLM* multi = curl_multi_init();
  for (Transfer& one : transfers) curl_multi_add_handle(multi, one.handle);
  for (int running = 1; running > 0;) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) break;
    // A bound that is never met: curl wakes by itself when one of the requests has something, or times out.
    if (running > 0 && curl_multi_poll(multi, nullptr, 0, 1000, nullptr) != CURLM_OK) break;
  }
  for (int left = 0; CURLMsg* message = curl_multi_info_read(multi, &left);) {
    Transfer* done = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &done);
    if (message->msg == CURLMSG_DONE) done->code = message->data.result;
  }
  for (Transfer& one : transfers) curl_multi_remove_handle(multi, one.handle);
  curl_multi_cleanup(multi);
}

}  // namespace

std::vector<Result<HttpResponse>> CurlHttp::send_all(const std::vector<HttpRequest>& requests) {
  std::deque<Transfer> transfers;
  for (const HttpRequest& request : requests) transfers.emplace_back(request);
  run_all(transfers);
  std::vector<Result<HttpResponse>> out;
  for (Transfer& one : transfers) {
    one.answer.status = static_cast<int>(status_of(one.handle));
    if (one.code == CURLE_OK)
      out.emplace_back(std::move(one.answer));
    else
      out.emplace_back(internal_error(fmt::format("{}: {}", one.request.url, curl_easy_strerror(one.code))));
  }
  return out;
}

Result<int> CurlHttp::stream(const HttpRequest& request,
                             const std::function<bool(std::string_view)>& on_line) {
  Blobs blobs;
  const Headers headers = prepare(handle_, request, blobs);
  Lines lines{on_line, {}};
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, split);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, &lines);
  const CURLcode code = curl_easy_perform(handle_);
  if (code != CURLE_OK && code != CURLE_OPERATION_TIMEDOUT && !lines.is_refused)
    return internal_error(fmt::format("{}: {}", request.url, curl_easy_strerror(code)));
  return static_cast<int>(status_of(handle_));
}

}  // namespace rusternetes::launcher
