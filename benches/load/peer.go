// The peer: a Go net/http server that does the work of GET /user and nothing else, for comparison.
// Usage: peer PORT REDIS_ADDRESS. The signing secret comes from AUTH_SECRET_KEY.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt"
	"github.com/gomodule/redigo/redis"
)

type claims struct {
	Tag string `json:"tag"`
	Sid string `json:"sid"`
	jwt.StandardClaims
}

type entry struct {
	Epoch     string `json:"epoch"`
	Email     string `json:"email"`
	CreatedAt int64  `json:"created_at"`
}

func main() {
	port, address, secret := os.Args[1], os.Args[2], []byte(os.Getenv("AUTH_SECRET_KEY"))
	pool := &redis.Pool{MaxIdle: 64, MaxActive: 64, Wait: true, Dial: func() (redis.Conn, error) {
		return redis.Dial("tcp", address)
	}}
	parser := &jwt.Parser{ValidMethods: []string{"HS256"}}
	key := func(*jwt.Token) (interface{}, error) { return secret, nil }
	refuse := func(w http.ResponseWriter, status int) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"result":"Error occurred"}`)
	}
	http.HandleFunc("/user", func(w http.ResponseWriter, r *http.Request) {
		var c claims
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := parser.ParseWithClaims(token, &c, key); err != nil || c.Issuer != "auth-service" {
			refuse(w, http.StatusUnauthorized)
			return
		}
		connection := pool.Get()
		defer connection.Close()
		prefix := "as:{" + c.Tag + "}:"
		found, err := redis.ByteSlices(connection.Do("MGET", prefix+"e", prefix+"a:"+c.Sid))
		if err != nil {
			refuse(w, http.StatusServiceUnavailable)
			return
		}
		var epoch, access entry
		if json.Unmarshal(found[0], &epoch) != nil || json.Unmarshal(found[1], &access) != nil || epoch.Epoch != access.Epoch {
			refuse(w, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(map[string]interface{}{
			"data": map[string]interface{}{
				"email": epoch.Email, "id": c.Subject, "created_at": time.Unix(epoch.CreatedAt, 0).UTC().Format(time.RFC3339),
			},
			"result": "User profile fetched successfully", "status": 200,
		})
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
