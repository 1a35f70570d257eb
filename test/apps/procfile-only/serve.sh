while true; do
  printf 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n' | nc -l -p "$PORT" -q 1
done
