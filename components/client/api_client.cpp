#include "client/api_client.h"

#include "client/informer.h"

namespace rusternetes::client {

namespace {
constexpr std::int64_t page_size = 500;
}

Task<Result<void>> ApiClient::remove_collection(Resource resource, std::string name_space,
                                                CollectionOptions which, RemoveOptions options) {
  ListOptions page;
  page.label_selector = std::move(which.label_selector);
  page.field_selector = std::move(which.field_selector);
  page.limit = page_size;
  do {
    auto listed = co_await list(resource, name_space, page);
    if (!listed) co_return listed.error();
    page.continue_token = listed->continue_token;
    for (const auto& object : listed->items) {
      RemoveOptions one = options;
      one.uid = uid_of(object);  // never one that took its name meanwhile
      std::string within(namespace_of(object)), name(name_of(object));
      auto removed = co_await remove(resource, std::move(within), std::move(name), std::move(one));
      if (removed) continue;
      const bool is_gone = removed.error().is("NotFound") ||
                           (removed.error().is("Conflict") && options.resource_version.empty());
      if (!is_gone) co_return removed.error();
    }
  } while (!page.continue_token.empty());
  co_return Result<void>{};
}

}  // namespace rusternetes::client
