CREATE TABLE expected_link (
	pair_id BIGINT NOT NULL, 
	entity TEXT NOT NULL, 
	left_key TEXT NOT NULL, 
	right_key TEXT NOT NULL, 
	why JSONB DEFAULT '{}'::jsonb NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_expected_link PRIMARY KEY (pair_id, entity, left_key)
);
CREATE UNIQUE INDEX uq_expected_link_right ON expected_link (pair_id, entity, right_key);
COMMENT ON TABLE expected_link IS 'Two Records said to be counterparts before the lane has linked them; gone once it has.';
