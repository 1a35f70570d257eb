# What is wrong with a static.json, one sentence a line.
def text: type == "string" and . != "" and (test("[\\x00-\\x1f\\x7f]") | not);
def inside: text and (startswith("/") | not) and (split("/") | index("..") == null);
def pattern: text and startswith("/");
def object_of(name; check): if . == null then empty elif type != "object" then "\(name) must be an object." else to_entries[] | check end;

(.root | select(. != null) | select(inside | not) | "root must be a folder of the app."),
(.clean_urls, .https_only, .basic_auth | select(. != null) | select(type != "boolean") | "clean_urls, https_only and basic_auth must be true or false."),
(.error_page | select(. != null) | select(inside | not) | "error_page must be a file below the root."),
(.canonical_host | select(. != null) | select(text | not) | "canonical_host must be a host name."),
(.encoding | select(. != null) | select((text and test("^[A-Za-z0-9._-]+$")) | not) | "encoding must be a character set such as UTF-8."),
(.routes | object_of("routes";
  (.key | select(pattern | not) | "routes: \(tojson) must begin with a slash."),
  ((.value | if type == "object" then .path else . end) as $path | .key as $key | select($path | inside | not) | "routes: the file of \($key | tojson) must be one below the root."))),
(.redirects | object_of("redirects";
  (.key | select(pattern | not) | "redirects: \(tojson) must begin with a slash."),
  (select((.value | type) != "object" or (.value.url | text | not)) | "redirects: \(.key | tojson) needs an url."),
  (.key as $key | .value.status? as $status | select($status != null and ([301, 302, 303, 307, 308] | index($status)) == null)
    | "redirects: the status of \($key | tojson) must be 301, 302, 303, 307 or 308."))),
(.headers | object_of("headers";
  (.key | select(pattern | not) | "headers: \(tojson) must begin with a slash."),
  (.key as $key | .value | if type != "object" then "headers: \($key | tojson) must be an object of headers." else to_entries[]
    | select((.key | test("^[A-Za-z0-9_-]+$") | not) or (.value | text | not)) | "headers: \($key | tojson) has a header \(.key | tojson) that cannot be sent." end))),
(.proxies | object_of("proxies";
  (select((.key | pattern | not) or (.key | endswith("/") | not)) | "proxies: \(.key | tojson) must begin and end with a slash."),
  (select((.value | type) != "object" or (.value.origin | text | not)) | "proxies: \(.key | tojson) needs an origin."))),
(.logging | select(. != null) | select(type != "object") | "logging must be an object."),
(keys[] | select(IN("root", "clean_urls", "https_only", "basic_auth", "error_page", "canonical_host", "encoding", "routes", "redirects", "headers", "proxies", "logging") | not)
  | "\(tojson) is not known; there are root, clean_urls, routes, redirects, headers, error_page, https_only, canonical_host, proxies, basic_auth, encoding and logging.")
