exec socat "TCP-LISTEN:$PORT,fork,reuseaddr" EXEC:'bash answer.sh'
