#pragma once
// Responses: objects, lists, tables and errors in the form that was asked for. Cached bodies are sent without
// a copy.

#include <string>
#include <vector>

#include "api-server/negotiation.h"
#include "api-server/resources.h"
#include "api-server/watch_source.h"
#include "http/message.h"

namespace rusternetes::api_server {

struct Encoded {
  std::string content_type;
  std::vector<http::Slice> body;
};

// Whether the form that was asked for fits what is asked: an object, or a list. 406, or 400 for a wrong includeObject.
Result<void> check_form(const Call& call, const Accepted& accepted, bool is_list);
Encoded encode_entry(const Call& call, const Accepted& accepted, const EntryPtr& entry);
// An object of any kind that is no cache entry (a write's outcome, a review, a scale).
Encoded encode_value(const Call& call, const Accepted& accepted, const apimachinery::Kind& kind,
                     const apimachinery::Value& value);
Encoded encode_list(const Call& call, const Accepted& accepted, const Listed& listed);
Encoded encode_status(const Accepted& accepted, const Status& status);
// A document of metav1 that is kept as JSON (discovery); `owner` keeps the text.
Encoded encode_document(const Accepted& accepted, std::string_view json, std::shared_ptr<const void> owner);
// A Status with status: Success, as deletions answer.
Encoded encode_success(const Call& call, const Accepted& accepted, std::string_view name,
                       std::string_view uid);

// One frame of a watch.
std::vector<http::Slice> encode_event(const Call& call, const Accepted& accepted, const OutEvent& event,
                                      bool is_first);
// An ERROR frame.
std::string encode_error_event(const Accepted& accepted, const Status& status);

std::string pretty_json(std::string_view compact);

}  // namespace rusternetes::api_server
