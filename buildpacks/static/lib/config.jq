# nginx's configuration, from static.json. Needs $port, $workers, $home (of the app) and $work (a folder for what it writes).

# Where the file says ${NAME}, the config var of that name.
def filled: gsub("\\$\\{(?<name>[A-Za-z_][A-Za-z0-9_]*)\\}"; .name as $name | env[$name] // error("static.json needs the config var \($name), which is not set."))
  | if test("[\\x00-\\x1f\\x7f]") then error("A config var that static.json names has a control character.") else . end;
# nginx reads $ as a variable, and has no other way to write one.
def quoted: "\"" + (gsub("\\\\"; "\\\\") | gsub("\""; "\\\"") | gsub("\\$"; "${dollar}")) + "\"";
# A pattern, where * stands for a part of a path and ** for any, as a regular expression.
def expression: gsub("(?<special>[.+?^${}()|\\[\\]\\\\])"; "\\\(.special)") | gsub("\\*\\*"; "\u0001") | gsub("\\*"; "[^/]*") | gsub("\u0001"; ".*");
def matching($but; $end): "\"" + ("~^" + $but + expression + $end | gsub("\\\\"; "\\\\") | gsub("\""; "\\\"")) + "\"";
# What is named most closely comes first.
def closest_first: to_entries | sort_by(-(.key | length));
def host: filled | if test("^[A-Za-z0-9.-]+$") then . else error("The canonical_host \(tojson) in static.json is not a host name.") end;
def origin: filled | if test("^https?://[^/\\s\"]+") then rtrimstr("/") + "/" else error("The origin \(tojson) in static.json is not an http or https URL.") end;

. as $site
| ($site.headers // {} | [closest_first[] | .key as $pattern | .value | to_entries[] | {name: .key, value, pattern: $pattern}]
   | group_by(.name | ascii_downcase)) as $headers
| [
  "daemon off;",
  "worker_processes \($workers);",
  "pid \($work)/nginx.pid;",
  "error_log stderr \($site.logging.error? // "error" | if IN("debug", "info", "notice", "warn", "error", "crit") then . else "error" end);",
  "events { worker_connections 1024; }",
  "http {",
  "  include \($home)/.heroku/static/mime.types;",
  "  default_type application/octet-stream;",
  (["client_body", "proxy", "fastcgi", "uwsgi", "scgi"][] | "  \(.)_temp_path \($work)/\(.);"),
  "  access_log \(if $site.logging.access? == false then "off" else "/dev/stdout" end);",
  "  server_tokens off;",
  "  absolute_redirect off;",
  "  sendfile on;",
  "  tcp_nopush on;",
  # Longer than routers keep theirs, so that it is never this end that closes.
  "  keepalive_timeout 120s;",
  "  keepalive_requests 1000000;",
  "  gzip on;",
  "  gzip_static on;",
  "  gzip_vary on;",
  "  gzip_proxied any;",
  "  gzip_min_length 1024;",
  "  gzip_types text/plain text/css text/xml text/javascript application/javascript application/json application/manifest+json application/xml application/rss+xml application/atom+xml application/wasm image/svg+xml font/ttf font/otf;",
  "  charset \($site.encoding // "utf-8");",
  "  charset_types text/plain text/css text/xml text/javascript application/javascript application/json application/manifest+json image/svg+xml;",
  "  geo $dollar { default \"$\"; }",
  "  map $request_uri $asked { \"~^(?<path>[^?]*)\" $path; }",
  "  map $http_x_forwarded_proto $scheme_asked { default http; https https; }",
  "  map $asked $route {",
  "    default \"\";",
  ($site.routes // {} | closest_first[]
   | (if (.value | type) == "object" then .value else {path: .value} end) as $to
   | ($to.except // [] | if type == "array" then . else [.] end | map("(?!\(expression))") | join("")) as $but
   | "    \(.key | matching($but; "$")) \("/" + $to.path | quoted);"),
  "  }",
  ($headers | to_entries[] | .key as $n | .value
   | "  map $asked $header_\($n) { default \"\"; \([.[] | "\(.pattern | matching(""; "$")) \(.value | filled | quoted);"] | join(" ")) }"),
  "  server {",
  "    listen \($port) backlog=1024;",
  "    root \($home + "/" + $site.root | quoted);",
  "    index index.html;",
  ($headers | to_entries[] | "    add_header \(.value[0].name) $header_\(.key) always;"),
  # Of a folder without an index, too, there is just nothing to see.
  (if $site.error_page then "    error_page 404 500 502 503 504 \("/" + $site.error_page | quoted);", "    error_page 403 =404 \("/" + $site.error_page | quoted);"
   else "    error_page 403 =404 @nothing;", "    location @nothing { return 404; }" end),
  (if $site.https_only then "    if ($scheme_asked = http) { return 301 https://$host$request_uri; }" else empty end),
  ($site.canonical_host // empty | host | "    if ($host != \(.)) { return 301 $scheme_asked://\(.)$request_uri; }"),
  (if $site.basic_auth then "    auth_basic \"Restricted\";", "    auth_basic_user_file \($work)/htpasswd;" else empty end),
  "    location ~ /\\.(?!well-known/) { return 404; }",
  (if $site.root == "." then "    location ~ ^/(static\\.json|app\\.json|Procfile)$ { return 404; }" else empty end),
  ($site.proxies // {} | closest_first[]
   | "    location ^~ \(.key | quoted) {",
     "      proxy_pass \(.value.origin | origin);",
     "      proxy_http_version 1.1;",
     "      proxy_ssl_server_name on;",
     "      proxy_set_header Connection \"\";",
     "      proxy_set_header X-Forwarded-Host $host;",
     "    }"),
  ($site.redirects // {} | closest_first[]
   | "    location \(if .key | contains("*") then "~ " + (.key | matching(""; "$") | sub("~"; "")) else "= " + (.key | quoted) end) { return \(.value.status // 301) \(.value.url | filled | quoted); }"),
  "    location / { try_files $uri \(if $site.clean_urls then "$uri.html " else "" end)$uri/ $route =404; }",
  "  }",
  "}"
] | .[]
