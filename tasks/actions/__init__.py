"""What wipes a computer, or has it wiped: a program, a call to an imaging server, an Ansible playbook, a person."""
