# One HTTP answer: a QR code that says hello.
read -r _
body=$(qrencode -t UTF8 'Hello from apt')
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s\n' "$body"
