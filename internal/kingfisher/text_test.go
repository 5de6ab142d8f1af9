package kingfisher

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	tests := []struct {
		in   string
		max  int
		want string
	}{
		{"", 5, ""},
		{"  a \t b\r\n c ", 20, "a b c"},
		{"\x1b[31mred\x00", 20, "[31mred"},
		{"\u202eevil\u202c \u200b\u2066x\ufeff", 20, "evil x"},
		{"a\u2028b\u00a0c", 20, "a b c"},
		{"a\xffb", 20, "a\ufffdb"},
		{"übung", 5, "übung"},
		{"übungen", 5, "übun…"},
		{"ab cd", 4, "ab…"},
		{"📦📦📦", 2, "📦…"},
	}
	for _, tt := range tests {
		if got := oneLine(tt.in, tt.max); got != tt.want {
			t.Errorf("oneLine(%q, %d) is %q, want %q", tt.in, tt.max, got, tt.want)
		}
	}
}

func TestMask(t *testing.T) {
	tests := []struct{ in, want string }{
		// Nothing to hide.
		{"", ""},
		{"python manage.py load --name x", "python manage.py load --name x"},
		{"curl http://localhost:6800/listjobs.json", "curl http://localhost:6800/listjobs.json"},
		{"psql -h db -U alice -p 5432 registry", "psql -h db -U alice -p 5432 registry"},
		{"rsync -p a b", "rsync -p a b"},
		{"select author, path from tokens where n > 5", "select author, path from tokens where n > 5"},
		{"scrapy crawl spider -a author=me -a from_date=2020-01-01", "scrapy crawl spider -a author=me -a from_date=2020-01-01"},
		{"docker run --user 1000 x", "docker run --user 1000 x"},
		{"ssh root@example.com", "ssh root@example.com"},
		{`select 'x'::text as "password"`, `select 'x'::text as "password"`},
		{"ssh -p 22 host", "ssh -p 22 host"},
		{"ssh mongo.example -p 22", "ssh mongo.example -p 22"},
		{"ssh root@mysql -p22", "ssh root@mysql -p22"},
		{"cp -p a b", "cp -p a b"},
		{"mkdir -p x", "mkdir -p x"},
		{"tar -p -xf a.tar", "tar -p -xf a.tar"},
		{"scp -P 22 a b:", "scp -P 22 a b:"},
		{"docker run -p 80:80 x", "docker run -p 80:80 x"},
		{"mysql -P 3306 -p db", "mysql -P 3306 -p db"},
		{"ls -a; wc -w x", "ls -a; wc -w x"},
		{"unzip -p a.zip", "unzip -p a.zip"},
		{"date -u +%F", "date -u +%F"},
		{"git log -u --format=%H", "git log -u --format=%H"},
		{"curl -X POST https://example.com/services/x", "curl -X POST https://example.com/services/x"},

		{"env PGPASSWORD=hunter2 psql", "env PGPASSWORD=*** psql"},
		{"PGPASSWORD='hunter 2' psql", "PGPASSWORD=*** psql"},
		{"x --password hunter2 y", "x --password *** y"},
		{"x --password=hunter2 y", "x --password=*** y"},
		{`x --db-password "hunter 2" y`, "x --db-password *** y"},
		{"scrapy crawl spider -a api_key=hunter2 -a note=x", "scrapy crawl spider -a api_key=*** -a note=x"},
		{"scrapy crawl s -s FTP_PASSWORD=hunter2", "scrapy crawl s -s FTP_PASSWORD=***"},
		{"x --token hunter2", "x --token ***"},
		{"AWS_SECRET_ACCESS_KEY=hunter2 aws", "AWS_SECRET_ACCESS_KEY=*** aws"},
		{"psql postgres://alice:hunter2@db:5432/x", "psql postgres://alice:***@db:5432/x"},
		{"psql postgresql://alice:hunt@er/2@db/x", "psql postgresql://alice:***@db/x"},
		{"git clone https://abcdefabcdefabcdefabcdef@github.com/x", "git clone https://***@github.com/x"},
		{"curl https://x/?api_key=hunter2&y=1", "curl https://x/?api_key=***"},
		{"curl -u alice:hunter2 https://x", "curl -u alice:*** https://x"},
		{"curl -ualice:hunter2 https://x", "curl -ualice:*** https://x"},
		{"curl --user 'alice:hunter 2' https://x", "curl --user alice:*** 2' https://x"},
		{"curl -H 'Authorization: Bearer hunter2' x", "curl -H 'Authorization: ***' x"},
		{"curl -H Authorization: Basic aHVudGVyMg== x", "curl -H Authorization: *** x"},
		{`{"password": "hunter2", "n": 1}`, `{"password": ***, "n": 1}`},
		{"sshpass -p hunter2 ssh x", "sshpass -p *** ssh x"},
		{"mysql -u root -phunter2 db", "mysql -u root -p*** db"},
		{"redis-cli -h x -a hunter2", "redis-cli -h x -a ***"},
		{"alter role alice password 'hunter2'", "alter role alice password ***"},
		{"create user alice with encrypted password $$hunter2$$ login", "create user alice with encrypted password *** login"},
		{"ALTER USER a IDENTIFIED BY 'it''s'", "ALTER USER a IDENTIFIED BY ***"},
		{"select * from dblink('host=x password=hunter2 user=y', 'q')", "select * from dblink('host=x password=*** user=y', 'q')"},
		{"select crypt('hunter2', gen_salt('bf'))", "select crypt(***, gen_salt('bf'))"},
		{"select pgp_sym_decrypt(x, 'hunter2') from t", "select pgp_sym_decrypt(***"},
		{"select * from t where password = 'hunter2' and n = 1", "select * from t where password = *** and n = 1"},
		{"select * from t where password = 'hunter2", "select * from t where password = ***"},
		{"select dblink_connect('host=x password=hunter2', 'q')", "select dblink_connect('host=x password=*** 'q')"},
		{"ALTER ROLE a PASSWORD $x$hunter2$x$ LOGIN", "ALTER ROLE a PASSWORD *** LOGIN"},
		{"ALTER ROLE a PASSWORD $x$a$y$hunter2$x$", "ALTER ROLE a PASSWORD ***"},
		{"ALTER ROLE a PASSWORD $x$hunter2", "ALTER ROLE a PASSWORD ***"},
		{"SET x.password TO 'hunter2'", "SET x.password TO ***"},
		{"set local x.password to hunter2", "set local x.password to ***"},
		{"create user mapping for a server s options (user 'b', token 'hunter2')", "create user mapping for a server s options (user 'b', token ***)"},
		{"update users set pw = 'hunter2'", "update users set pw = ***"},
		{`{"token":"hunter2","n":1}`, `{"token":***,"n":1}`},
		{"env DBPASS=hunter2 ./load.sh", "env DBPASS=*** ./load.sh"},
		{"env PGPASSWORD=ab&hunter2 psql", "env PGPASSWORD=*** psql"},
		{"env PGPASSWORD=ab;hunter2 psql", "env PGPASSWORD=*** psql"},
		{"env PGPASSWORD=it'shunter2 psql", "env PGPASSWORD=*** psql"},
		{"env PGPASSWORD='ab'hunter2 psql", "env PGPASSWORD=*** psql"},
		{"x --password it'shunter2 y", "x --password *** y"},
		{"x --password 'ab'hunter2 y", "x --password *** y"},
		{"psql postgresql://u:p'hunter2@h/db", "psql postgresql://u:***@h/db"},
		{"curl -d @x https://hooks.slack.com/services/T0/B0/hunter2", "curl -d @x https://hooks.slack.com/services/***"},
		{"curl -H Cookie: a=hunter2; b=hunter2 https://x", "curl -H Cookie: *** https://x"},
		{"curl -H 'Cookie: a=hunter2' https://x", "curl -H 'Cookie: ***' https://x"},
		{"curl -b a=hunter2 https://x", "curl -b *** https://x"},
		{"curl -u alice:it'shunter2 https://x", "curl -u alice:*** https://x"},
		{"smbclient -U u%hunter2 //x/y", "smbclient -U u%*** //x/y"},
		{"smbclient -U W/u%hunter2 //x/y", "smbclient -U W/u%*** //x/y"},
		{"docker login -u a -p hunter2 registry.example", "docker login -u a -p *** registry.example"},
		{"helm registry login -phunter2 x", "helm registry login -p*** x"},
		{"mongodump -u a -p hunter2 --port 27017", "mongodump -u a -p *** --port 27017"},
		{"/usr/bin/mongosh -p 'hunter 2' x", "/usr/bin/mongosh -p *** x"},
		{"mysql -P3306 -phunter2 db", "mysql -P3306 -p*** db"},
		{"sshpass -P x -p hunter2 ssh -p 22 y", "sshpass -P x -p *** ssh -p 22 y"},
		{"sshpass -P Enter password: -p hunter2 ssh y", "sshpass -P Enter password: *** *** ssh y"},
		{"sshpass -vphunter2 ssh y", "sshpass -vp*** ssh y"},
		{"htpasswd -b f u hunter2", "htpasswd -b ***"},
		{"htpasswd -C 9 -nbB u hunter2 hunter2", "htpasswd -C 9 -nbB ***"},
		{"redis-cli -ahunter2 get x", "redis-cli -a*** get x"},
		{"ldapsearch -D x -whunter2 -p 389", "ldapsearch -D x -w*** -p 389"},
		{"ldapsearch -xw hunter2", "ldapsearch -xw ***"},
		{"unzip -P hunter2 a.zip", "unzip -P *** a.zip"},
		{"zip -rPhunterP2 a.zip b", "zip -rP*** a.zip b"},
		{"7z a -phunter2 a.7z b", "7z a -p*** a.7z b"},
		{"export T=xoxb-1234-hunter2", "export T=***"},
		{"x ghp_abcdefghijklmnop1234 y", "x *** y"},
		{"x AKIAIOSFODNN7EXAMPLE y", "x *** y"},
		{"x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_ y", "x *** y"},
		{"echo -----BEGIN OPENSSH PRIVATE KEY----- abc -----END OPENSSH PRIVATE KEY----- x", "echo *** x"},
	}
	for _, tt := range tests {
		if got := mask(tt.in); got != tt.want {
			t.Errorf("mask(%q)\nis   %q\nwant %q", tt.in, got, tt.want)
		}
	}
}

func TestCommandMasksBeforeItCuts(t *testing.T) {
	got := command("psql postgres://alice:"+strings.Repeat("hunter2", 100)+"@db/x", 40)
	if got != "psql postgres://alice:***@db/x" {
		t.Errorf("the command is %q", got)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add("psql postgres://a:", "hunter2", "@b")
	f.Add("x --password ", "abcdef1", " y")
	f.Add(`"`, "abcdef1", `'`)
	templates := []string{
		"PGPASSWORD=SECRET psql", "x --password SECRET y", "x --token=SECRET", "curl -u alice:SECRET x",
		"psql postgres://alice:SECRET@db/x", "alter role alice password 'SECRET'", "Authorization: Bearer SECRET",
		"alter role alice password $a$SECRET$a$", "docker login -p SECRET x", "sshpass -p SECRET ssh x",
	}
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		got := command(before+secret+after, maxWhat)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxWhat || oneLine(got, maxWhat) != got {
			t.Errorf("%q is not a short line of plain text", got)
		}
		// A secret of its own, in a place where secrets are.
		const planted = "Zq7planted7Zq"
		if strings.Contains(before+after, "Zq7") {
			t.Skip()
		}
		for _, template := range templates {
			line := oneLine(before, maxWhat) + " " + strings.ReplaceAll(template, "SECRET", planted) + " " + after
			if got := mask(oneLine(line, 20*maxWhat)); strings.Contains(got, planted) {
				t.Errorf("%q becomes %q", line, got)
			}
		}
	})
}
